#!/bin/sh
# Train the bundled model, engine/models/default.safetensors, as it was trained: `make model` runs this.
#
#   tools/train_default_model.sh [OUTPUT]
#
# First on practice scenes alone; then, where a folder of real images in MARIDA's layout is given by TEXTURES (default:
# ../shared/data/marida_train), on practice scenes and on practice things painted on those images. PYTHON is the engine's.
set -eu

output=${1:-engine/models/default.safetensors}
textures=${TEXTURES:-../shared/data/marida_train}
python=${PYTHON:-python3}
seed=${SEED:-0}

first=$(mktemp -d)
trap 'rm -rf "$first"' EXIT

"$python" -m engine train --model "$first/practice.safetensors" --name practice --seed "$seed" \
    --epochs 7 --warmup-epochs 1 --learning-rate 0.002 --batch-size 16 --tile-size 128 \
    --training-samples 2500 --validation-samples 300

if [ -d "$textures" ]; then
    "$python" -m engine train --model "$output" --name default --seed "$((seed + 10))" \
        --start-from "$first/practice.safetensors" --textures "$textures" --texture-share 0.5 \
        --epochs 5 --warmup-epochs 1 --learning-rate 0.001 --batch-size 16 --tile-size 128 \
        --training-samples 2400 --validation-samples 300
else
    echo "No real images at $textures: the model is that of practice scenes alone." >&2
    mv "$first/practice.safetensors" "$output"
fi
