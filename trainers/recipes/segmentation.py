"""Semantic segmentation: the paper's FCN-AlexNet on PASCAL VOC, and CamVid at small scale."""

import dataclasses

from trainers.recipes.imagenet import MIXED
from trainers.recipes.segmentation_recipe import SegmentationRecipe

_VOC = SegmentationRecipe(
    name="voc_fcn_alexnet",
    description="PASCAL VOC, FCN-32s on AlexNet, nothing hidden.",
    dataset="pascal_voc",
    train_list="sbd_train",
    val_list="seg11valid",
    mask_folder="SegmentationClassAug",
    model="alexnet",
    conv1_padding=100,
    map_stride=32,
    output_stride=32,
    image_size=500,  # the long side of the images: none is cropped
    resize_size=500,
    horizontal_flip=False,
    mean=(122.67892, 116.66877, 104.00699),
    std=(1.0, 1.0, 1.0),
    # 100,000 iterations.
    epochs=100,
    steps_per_epoch=1000,
    batch_size=20,
    schedule="regimes",
    regimes=((0, 1e-4, 5e-4),),
    nesterov=False,
    evaluate_every=10,
    published={"mean_iou": 48.00},
    choices=(
        "Network, rate and 100,000 iterations are those of the published FCN-AlexNet, which adds "
        "up the gradients of 20 images. Images smaller than 500 x 500 are padded with the mean "
        "color, which has no label. Biases have the same rate and decay as kernels, not twice the "
        "rate and none.",
    ),
)
_VOC_HAS = dataclasses.replace(
    _VOC,
    name="voc_fcn_alexnet_has",
    description="PASCAL VOC, FCN-32s on AlexNet, mixed patches hidden.",
    patch_size=MIXED,
    published={"mean_iou": 49.31},
    choices=(
        *_VOC.choices,
        "Patch sizes and probability are those of the localization networks, and hidden pixels "
        "keep their labels: no source gives those for segmentation.",
    ),
)
_CAMVID = SegmentationRecipe(
    name="camvid_full",
    description="CamVid at 240 x 180, FCN-8s on EfficientNet-Lite0, nothing hidden.",
    dataset="camvid",
    val_list="test",
    model="efficientnet_lite0",
    map_stride=32,
    output_stride=8,
    image_size=160,
    resize_size=160,
    # The scaling that the network was trained with: pixels in [-1, 1].
    mean=(127.5, 127.5, 127.5),
    std=(127.5, 127.5, 127.5),
    # The mean color of ImageNet on that scale.
    fill_value=(-0.0293, -0.0893, -0.1921),
    batch_norm_momentum=0.9,
    epochs=10,
    batch_size=8,
    learning_rate=0.02,
    weight_decay=1e-4,
    evaluate_every=5,
    choices=(
        "Everything: the paper has no small experiment. Crops and epochs are what two cores can do "
        "in minutes; nothing was chosen on the test images.",
    ),
)
# The paper's sizes, scaled by 160 / 224 and rounded down.
_SMALL_PATCHES = (0, 11, 22, 31, 40)
_CAMVID_HAS = dataclasses.replace(
    _CAMVID,
    name="camvid_has",
    description="CamVid at 240 x 180, FCN-8s on EfficientNet-Lite0, mixed patches hidden.",
    patch_size=_SMALL_PATCHES,
)
_CAMVID_IGNORE = dataclasses.replace(
    _CAMVID_HAS,
    name="camvid_has_ignore",
    description="CamVid at 240 x 180, FCN-8s on EfficientNet-Lite0, hidden pixels not labelled.",
    hidden_pixels="ignore",
)
_FOLDER = dataclasses.replace(
    _CAMVID_HAS,
    name="voc_folder_has",
    description="Your own images in the layout of PASCAL VOC, mixed patches hidden.",
    dataset="voc_folder",
    val_list="val",
)
_FOLDER_FULL = dataclasses.replace(
    _FOLDER,
    name="voc_folder_full",
    description="Your own images in the layout of PASCAL VOC, nothing hidden.",
    patch_size=(0,),
)
_PETS_FULL = dataclasses.replace(
    _FOLDER_FULL,
    name="pets_weak_full",
    description="Pets with masks from maps, FCN-8s on EfficientNet-Lite0, nothing hidden.",
    val_list="test",
    epochs=6,
    evaluate_every=6,
    choices=(
        "Everything: no source gives the weakly supervised method of the paper. Nothing was chosen "
        "on the test images.",
    ),
)
_PETS_HAS = dataclasses.replace(
    _PETS_FULL,
    name="pets_weak_has",
    description="Pets with masks from maps, FCN-8s on EfficientNet-Lite0, mixed patches hidden.",
    patch_size=_SMALL_PATCHES,
)
RECIPES = (
    *(_CAMVID_HAS, _CAMVID, _CAMVID_IGNORE),
    *(_VOC, _VOC_HAS),
    *(_FOLDER_FULL, _FOLDER),
    *(_PETS_FULL, _PETS_HAS),
)
DEFAULT_RECIPES = {
    "camvid": "camvid_has",
    "pascal_voc": "voc_fcn_alexnet_has",
    "voc_folder": "voc_folder_has",
}
