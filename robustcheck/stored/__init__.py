"""Read stored things that may be hostile: with limits, and refusals that name the file.

Only regular files are opened. What a file claims of its size is checked before room is made for it.
"""

from robustcheck.stored._archive import open_archive
from robustcheck.stored._arrays import Arrays, map_array_file, open_arrays, read_array
from robustcheck.stored._files import DROPPINGS, open_regular, read_limited
from robustcheck.stored._text import MOST_JSON, read_json, read_toml

__all__ = [
    "DROPPINGS",
    "MOST_JSON",
    "Arrays",
    "map_array_file",
    "open_archive",
    "open_arrays",
    "open_regular",
    "read_array",
    "read_json",
    "read_limited",
    "read_toml",
]
