"""Trained networks as SavedModels that need neither Keras nor this project."""

from keras_has.export.embedder import EmbedderMetadata as EmbedderMetadata
from keras_has.export.embedder import export_embedder as export_embedder
from keras_has.export.embedder import load_embedder as load_embedder
from keras_has.export.localizer import LocalizerMetadata as LocalizerMetadata
from keras_has.export.localizer import export_localizer as export_localizer
from keras_has.export.localizer import load_localizer as load_localizer
from keras_has.export.localizer import read_metadata as read_metadata
from keras_has.export.saved_model import METADATA_FILE as METADATA_FILE
from keras_has.export.segmenter import SegmenterMetadata as SegmenterMetadata
from keras_has.export.segmenter import export_segmenter as export_segmenter
from keras_has.export.segmenter import load_segmenter as load_segmenter
from keras_has.export.temporal_localizer import (
    TemporalLocalizerMetadata as TemporalLocalizerMetadata,
)
from keras_has.export.temporal_localizer import (
    export_temporal_localizer as export_temporal_localizer,
)
from keras_has.export.temporal_localizer import load_temporal_localizer as load_temporal_localizer
from keras_has.export.temporal_localizer import read_temporal_metadata as read_temporal_metadata
