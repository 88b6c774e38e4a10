"""A worker started by a controller: its role on the command line, its token in the environment."""

import sys

from decc_core.runtime.worker import serve_controller
from decc_core.span import Resource

serve_controller(Resource(sys.argv[1]))
