#!/bin/sh
# Train the bundled model, engine/models/default.safetensors, as it was trained: `make model` runs this.
#
#   tools/train_default_model.sh [OUTPUT]
#
# Makes the tiles (tools/default_model_data.py), trains with each of SEEDS (tools/train_default_model.py), two at once,
# less a fold of the real images, which the thresholds come from (tools/calibrate_default_model.py), and with each of
# WHOLE on all images; of these the one of seed SEED is the result, build/models keeps all. Needs a folder of real images
# in MARIDA's layout, TEXTURES (default: ../shared/data/marida_train). Takes three to eight minutes for the tiles, then 40
# minutes to two hours, on two cores; a GPU, where there is one, trains in minutes. WIDTH=64 trains the large network;
# MODEL_NAME is what its card calls it.
set -eu

output=${1:-engine/models/default.safetensors}
TEXTURES=${TEXTURES:-../shared/data/marida_train}
PYTHON=${PYTHON:-python3}
SEEDS=${SEEDS:-0 1 2}
SEED=${SEED:-1}
WHOLE=${WHOLE:-$SEED}
WIDTH=${WIDTH:-16}
models=build/models
export TEXTURES PYTHON

case " $WHOLE " in
*" $SEED "*) ;;
*)
    echo "The seed $SEED is none of those that are trained on all images: $WHOLE." >&2
    exit 2
    ;;
esac
"$(dirname "$0")/make_pool.sh"
mkdir -p "$models"
# Each training on one core: as many threads as cores would make other roundings on another machine.
{
    printf '%s --seed %s\n' $(for seed in $SEEDS; do echo "$models/seed-$seed.safetensors $seed"; done)
    printf '%s --seed %s --all-images\n' $(for seed in $WHOLE; do echo "$models/all-$seed.safetensors $seed"; done)
} | xargs -P 2 -L 1 "$PYTHON" -m tools.train_default_model --pool build/pool --width "$WIDTH" --threads 1 \
    ${MODEL_NAME:+--name "$MODEL_NAME"} --output
# shellcheck disable=SC2046  # one word a seed
"$PYTHON" -m tools.calibrate_default_model --pool build/pool --textures "$TEXTURES" \
    --model $(printf "$models/seed-%s.safetensors " $SEEDS) --whole $(printf "$models/all-%s.safetensors " $WHOLE)
cp "$models/all-$SEED.safetensors" "$output.trained"
mv "$output.trained" "$output"
