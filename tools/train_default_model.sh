#!/bin/sh
# Train the bundled model, engine/models/default.safetensors, as it was trained: `make model` runs this.
#
#   tools/train_default_model.sh [OUTPUT]
#
# On practice scenes alone; where a folder of real images in MARIDA's layout is given by TEXTURES (default:
# ../shared/data/marida_train), its unlabelled pixels then set the threshold. Took 36 minutes on two cores that were
# shared with other work.
set -eu

output=${1:-engine/models/default.safetensors}
textures=${TEXTURES:-../shared/data/marida_train}
python=${PYTHON:-python3}

"$python" -m engine train --model "$output" --name practice-1 --seed "${SEED:-0}" \
    --epochs 7 --warmup-epochs 1 --learning-rate 0.002 --batch-size 16 --tile-size 128 \
    --training-samples 2500 --validation-samples 300

if [ -d "$textures" ]; then
    "$python" -m tools.set_threshold --data "$textures" --model "$output" --apply
else
    echo "No real images at $textures: the threshold stays that of the practice tiles." >&2
fi
