#!/bin/sh
# Runs a stage's command in the project's environment, whether or not that is active:
#     sh .dvc/stage.sh python -m paratopic.stages.prepare
# DVC_ROOT names the project's root where an experiment runs in a folder of its own.
# No module of the project's folder is imported in place of a library.
export PYTHONSAFEPATH=1
has_paratopic() {
    python -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("paratopic"))' \
        2>/dev/null
}
has_paratopic || PATH="${DVC_ROOT:-$PWD}/.venv/bin:$PATH"
has_paratopic || {
    echo 'paratopic is not installed for this `python`: activate the environment that has it, such as' >&2
    echo '    source .venv/bin/activate' >&2
    echo "In paratopic's own repository, \`make repro\` makes that environment." >&2
    exit 1
}
# Threads that wait for each other give their processor to other programs. By default they try again
# and again: beside busy programs, training then takes three times as much of the processors.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
exec "$@"
