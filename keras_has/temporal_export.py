"""The former place of the export of networks for sequences; use `keras_has.export`."""

from keras_has.deprecation import renamed_attributes

__getattr__ = renamed_attributes(
    __name__,
    {
        name: f"keras_has.export.{name}"
        for name in (
            "TemporalLocalizerMetadata",
            "export_temporal_localizer",
            "read_temporal_metadata",
        )
    },
)
