#!/bin/sh
# Makes a small copy of each picture below a folder with ImageMagick, on all cores: small-pictures.sh FOLDER [PIXELS]
# Once more, it makes only those that are missing: --resume knows the commands that have succeeded.
#
# On several machines that see the folder, put --queue /shared/pictures in place of --progress, and start
#   ptq poll /shared/pictures --commands --allow convert --parallel all --until-empty
# on each.
set -eu
folder=${1:?Expected a folder: small-pictures.sh FOLDER [PIXELS]}
pixels=${2:-640}
folder=$(cd -- "$folder" && pwd)

find "$folder" -type f \( -name '*.jpg' -o -name '*.png' \) ! -name '*.small.*' -print0 |
  ptq run -0 --resume small-pictures --progress -- convert {} -resize "${pixels}x${pixels}>" {.}.small.jpg
