"""Parts of the HTML reports: page, plots and the sorting of failures.

`page`, `report_page`, `plots`, `proportions` and `finished_run` serve images and sequences alike.
`judged_run`, `failures`, `tiles` and `image_*` are for images, `judged_sequences`, `segment_*` and
`sequence_*` for sequences; `run_report` tells which of them a run needs.
"""
