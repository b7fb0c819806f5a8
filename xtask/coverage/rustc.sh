#!/bin/sh
# Compiles a member of the workspace so that it counts which of its lines run. Cargo passes the compiler first.
exec "$@" -C instrument-coverage
