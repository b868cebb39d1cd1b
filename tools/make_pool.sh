#!/bin/sh
# Make the tiles that the default model and its baselines learn from, in build/pool, unless they are there: 3 to 8 minutes.
set -eu

textures=${TEXTURES:-../shared/data/marida_train}
if [ ! -d "$textures" ]; then
    echo "No real images at $textures: name the folder of MARIDA's train and val images by TEXTURES=…" >&2
    exit 2
fi
"${PYTHON:-python3}" -m tools.default_model_data --textures "$textures" --pool build/pool
