"""A finished report as files and as tables for the terminal, and a stored report read back."""

from robustcheck.report._comparison import comparison_page
from robustcheck.report._drawings import image_png
from robustcheck.report._files import file_names, prepare_folder, store_report, write_report
from robustcheck.report._picture import picture
from robustcheck.report._read import json_schema, read_document, read_evidence, read_report
from robustcheck.report._terminal import comparison, forms_summary, summary, verdict
from robustcheck.report._triples import nearest, triple_png
from robustcheck.report._wording import TITLES, class_name, interval, number

__all__ = [
    "TITLES",
    "class_name",
    "comparison",
    "comparison_page",
    "file_names",
    "forms_summary",
    "image_png",
    "interval",
    "json_schema",
    "nearest",
    "number",
    "picture",
    "prepare_folder",
    "read_document",
    "read_evidence",
    "read_report",
    "store_report",
    "summary",
    "triple_png",
    "verdict",
    "write_report",
]
