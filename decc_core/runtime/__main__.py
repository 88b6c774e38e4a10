"""A worker started by a controller: its role on the command line, its token as the first line of its input."""

import sys

from decc_core.network.work import Resource
from decc_core.runtime.worker.serve import serve_controller

serve_controller(Resource(sys.argv[1]))
