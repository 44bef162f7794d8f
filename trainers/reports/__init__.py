"""Parts of the HTML reports: page, plots and the sorting of failures.

`page`, `plots` and `proportions` know nothing of images; the others do.
"""
