"""The page: `streamlit run app/main.py`. Says what costs nothing, then imports and draws the rest.

Streamlit reads this file twice: once as a module, for the server's application, and as a script for every run of a
visitor's page.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Streamlit puts this file's folder first on the path; the packages stand one above.
ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

LOGO = ROOT / "assets" / "logo.svg"
TIGHT = (
    # The header lies over the links to the views; only its buttons take clicks.
    ".stAppHeader{background:transparent} .stAppHeader,.stAppHeader div{pointer-events:none!important} "
    ".stAppHeader button,.stAppHeader button *{pointer-events:auto!important} "
    ".stMainBlockContainer{padding:.4rem 2rem 2rem} "
    ".stSidebar [data-testid=stVerticalBlock]{gap:.55rem} "
    ".stMain [data-testid=stVerticalBlock]{gap:.7rem} .st-key-unseen{display:none} "
    ".st-key-preset_source{min-height:2.8rem}"
)


def main() -> None:
    st.set_page_config(page_title="DECC: where to cut a network", page_icon=str(LOGO), layout="wide")
    st.logo(str(LOGO), size="large")
    # Streamlit has no setting for the empty space around the page, which would push the picture off a small screen.
    st.html(f"<style>{TIGHT}</style>{_charts_early()}", unsafe_allow_javascript=True)
    # On a server that is not warm yet these imports take a second, in which the browser fetches its chart library.
    from app.shell import frame

    frame.draw()


def _charts_early() -> str:
    """A script that has the browser load what draws charts and the graph now, and not when the first one arrives."""
    scripts = Path(st.__file__).parent / "static" / "static" / "js"
    kinds = ("PlotlyChart.", "BidiComponent.")
    names = [file.name for file in scripts.iterdir() if file.name.startswith(kinds) and file.suffix == ".js"]
    return (
        "<script type='module'>const own = document.querySelector('script[src*=\"/js/index.\"]');"
        f"if (own) for (const name of {names}) import(new URL(name, own.src)).catch(() => {{}});</script>"
    )


if __name__ == "__main__":
    main()
else:
    from starlette.middleware import Middleware

    from app.shell.door import Door, lock_up_readers
    from app.shell.inbox import Inbox
    from app.warm_up import warm_server

    def show_failure(error: Exception) -> bool:
        """What fails outside of the frame: in a part that is drawn alone, or when a button is clicked."""
        from app.shell import frame

        return frame.show_failure(error)

    lock_up_readers()
    app = st.App(
        __file__, lifespan=warm_server, middleware=[Middleware(Door), Middleware(Inbox)], on_script_error=show_failure
    )
