"""Deprecated: timelines are drawn by `keras_has.drawing`."""

from keras_has.deprecation import renamed_attributes

__getattr__ = renamed_attributes(
    __name__,
    {
        name: f"keras_has.drawing.{name}"
        for name in (
            "timeline",
            "AMBIGUOUS_COLOUR",
            "MAP_COLOUR",
            "PREDICTED_BOX_COLOUR",
            "TRUTH_COLOUR",
            "Picture",
        )
    },
)
