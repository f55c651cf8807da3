"""A finished report as files: JSON, HTML, Markdown and arrays; and as tables for the terminal."""

from robustcheck.report._files import prepare_folder, write_report
from robustcheck.report._schema import json_schema, read_document
from robustcheck.report._terminal import summary

__all__ = ["json_schema", "prepare_folder", "read_document", "summary", "write_report"]
