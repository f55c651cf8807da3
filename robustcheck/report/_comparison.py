"""Two reports side by side, as a page."""

from __future__ import annotations

from markupsafe import Markup

from robustcheck.report import _drawings
from robustcheck.report._html import content_policy, environment
from robustcheck.report._wording import TITLES, unit
from robustcheck.results import Comparison, Evidence


def comparison_page(found: Comparison, old: Evidence, new: Evidence) -> str:
    """One self-contained page without a script; everything from outside is escaped."""
    style = environment().get_template("style.css").render()
    page: str = (
        environment()
        .get_template("comparison.html")
        .render(
            found=found,
            style=Markup(style),
            policy=Markup(content_policy(style)),
            titles=TITLES,
            curves=[
                Markup(
                    _drawings.two_curves_svg(
                        search.curve, old.document.searches[norm].curve, TITLES[norm], unit(new.document)
                    )
                )
                for norm, search in new.document.searches.items()
                if norm in old.document.searches
            ],
        )
    )
    return page
