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


def main() -> None:
    st.set_page_config(page_title="DECC: where to cut a network", page_icon=str(LOGO), layout="wide")
    st.logo(str(LOGO), size="large")
    # On a server that is not warm yet these imports take a second, in which the browser reads the page's scripts.
    from app.shell import frame

    frame.draw()


if __name__ == "__main__":
    main()
else:
    from starlette.middleware import Middleware

    from app.shell.answers import Answers
    from app.shell.door import Door, lock_up_readers
    from app.shell.foreword import Foreword
    from app.shell.inbox import Inbox
    from app.shell.timers import Timers
    from app.warm_up import warm_server

    def show_failure(error: Exception) -> bool:
        """What fails outside of the frame: in a part that is drawn alone, or when a button is clicked."""
        from app.shell import frame

        return frame.show_failure(error)

    lock_up_readers()
    app = st.App(
        __file__,
        lifespan=warm_server,
        middleware=[Middleware(part) for part in (Door, Inbox, Timers, Answers, Foreword)],
        on_script_error=show_failure,
    )
