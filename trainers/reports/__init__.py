"""HTML reports on finished runs: `run_report` selects the report of the run's task.

A report is a module that evaluates runs (`finished_run`), describes them with the functions of
`breakdowns`, and fills a template. `page`, `plots`, `samples`, `proportions`, `failure_kinds` and
`report_file` work for every task; `image_run` and `tiles` for every task on images;
`classification_*`, `confusions` and `seen_images` for classification of images;
`localization_*`, `box_failures` and `occlusion` for localization in images, `sequence_*` and
`segment_*` for sequences.
"""
