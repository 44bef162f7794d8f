"""Readers that all return one kind of dataset, and the way from there to batches."""

from keras_has.data.bad_images import BadImage as BadImage
from keras_has.data.bad_images import BadImageError as BadImageError
from keras_has.data.bad_images import find_bad_images as find_bad_images
from keras_has.data.bad_images import name_bad_image as name_bad_image
from keras_has.data.bad_images import skip_bad_images as skip_bad_images
from keras_has.data.batches import evaluation_batches as evaluation_batches
from keras_has.data.batches import image_batches as image_batches
from keras_has.data.batches import resized_batches as resized_batches
from keras_has.data.batches import segmentation_batches as segmentation_batches
from keras_has.data.batches import (
    temporal_evaluation_batches as temporal_evaluation_batches,
)
from keras_has.data.batches import (
    temporal_training_batches as temporal_training_batches,
)
from keras_has.data.batches import training_batches as training_batches
from keras_has.data.columns import Column as Column
from keras_has.data.columns import DenseColumn as DenseColumn
from keras_has.data.columns import RaggedColumn as RaggedColumn
from keras_has.data.cut_mix import cut_mix as cut_mix
from keras_has.data.dataset import Dataset as Dataset
from keras_has.data.feature_files import read_features as read_features
from keras_has.data.former_datasets import ImageDataset as ImageDataset
from keras_has.data.former_datasets import TemporalDataset as TemporalDataset
from keras_has.data.hide_images import hide_images as hide_images
from keras_has.data.hide_images import stateless_hide_images as stateless_hide_images
from keras_has.data.hide_video_segments import hide_video_segments as hide_video_segments
from keras_has.data.hide_video_segments import (
    stateless_hide_video_segments as stateless_hide_video_segments,
)
from keras_has.data.mask_files import MaskFiles as MaskFiles
from keras_has.data.mask_files import count_labels as count_labels
from keras_has.data.mask_files import read_mask as read_mask
from keras_has.data.mask_files import write_mask as write_mask
from keras_has.data.masks import load_mask as load_mask
from keras_has.data.readers.activitynet import activitynet as activitynet
from keras_has.data.readers.adience import adience as adience
from keras_has.data.readers.cifar import cifar10 as cifar10
from keras_has.data.readers.cifar import cifar100 as cifar100
from keras_has.data.readers.ck_plus import ck_plus as ck_plus
from keras_has.data.readers.cub import cub as cub
from keras_has.data.readers.feature_folder import feature_folder as feature_folder
from keras_has.data.readers.fer2013 import fer2013 as fer2013
from keras_has.data.readers.generated_parts import generated_parts as generated_parts
from keras_has.data.readers.generated_phases import generated_phases as generated_phases
from keras_has.data.readers.image_folder import image_folder as image_folder
from keras_has.data.readers.imagenet import imagenet as imagenet
from keras_has.data.readers.imagenet_v2 import imagenet_v2 as imagenet_v2
from keras_has.data.readers.market1501 import dukemtmc_reid as dukemtmc_reid
from keras_has.data.readers.market1501 import market1501 as market1501
from keras_has.data.readers.pascal_voc import pascal_voc as pascal_voc
from keras_has.data.readers.pets import pets as pets
from keras_has.data.readers.thumos14 import thumos14 as thumos14
from keras_has.data.readers.tiny_imagenet import tiny_imagenet as tiny_imagenet
from keras_has.data.readers.utkface import utkface as utkface
from keras_has.data.readers.watch_untrimmed import watch_untrimmed as watch_untrimmed
from keras_has.data.readers.wsol_metadata import wsol_metadata as wsol_metadata
from keras_has.data.records.image_records import is_tfrecords as is_tfrecords
from keras_has.data.records.image_records import tfrecords as tfrecords
from keras_has.data.records.image_records import write_tfrecords as write_tfrecords
from keras_has.data.records.record_files import RecordFiles as RecordFiles
from keras_has.data.records.sequence_records import is_sequence_records as is_sequence_records
from keras_has.data.records.sequence_records import sequence_frames as sequence_frames
from keras_has.data.records.sequence_records import sequence_records as sequence_records
from keras_has.data.records.sequence_records import (
    write_sequence_records as write_sequence_records,
)
from keras_has.data.sources import ArrayImages as ArrayImages
from keras_has.data.sources import FeatureArrays as FeatureArrays
from keras_has.data.sources import FeatureFiles as FeatureFiles
from keras_has.data.sources import FileImages as FileImages
from keras_has.data.sources import RecordImages as RecordImages
from keras_has.data.video.record_frames import RecordFrames as RecordFrames
from keras_has.data.video.record_frames import record_videos as record_videos
from keras_has.data.video.video_clips import VideoClips as VideoClips
from keras_has.data.video.video_clips import frame_preparation as frame_preparation
from keras_has.data.video.video_frames import VideoError as VideoError
from keras_has.data.video.video_frames import VideoFrames as VideoFrames
from keras_has.deprecation import renamed_attributes

__getattr__ = renamed_attributes(
    __name__,
    {
        "parts": "keras_has.data.generated_parts",
        "phases": "keras_has.data.generated_phases",
    },
)
