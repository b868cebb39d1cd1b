#!/bin/sh
# Train the bundled model, engine/models/default.safetensors, as it was trained: `make model` runs this.
#
#   tools/train_default_model.sh [OUTPUT]
#
# Makes the tiles (tools/default_model_data.py), trains MEMBERS networks for each of SEEDS (tools/train_default_model.py;
# build/models keeps them), two at once, puts those of a seed together (tools/join_models.py), and sets the thresholds that
# the seeds share (tools/calibrate_default_model.py); the one of seed SEED is the result. The members of seed n are
# trained with the seeds n, n + 5, n + 10 …, which hold out the same fifth of the real images. Needs a folder of real
# images in MARIDA's layout, TEXTURES (default: ../shared/data/marida_train). Takes three to eight minutes for the tiles,
# then 20 minutes a network and core; a GPU, where there is one, trains in minutes. WIDTH=64 trains the large network;
# MODEL_NAME is what its card calls it.
set -eu

output=${1:-engine/models/default.safetensors}
TEXTURES=${TEXTURES:-../shared/data/marida_train}
PYTHON=${PYTHON:-python3}
SEEDS=${SEEDS:-0 1 2}
SEED=${SEED:-1}
WIDTH=${WIDTH:-16}
MEMBERS=${MEMBERS:-3}
models=build/models
export TEXTURES PYTHON

case " $SEEDS " in
*" $SEED "*) ;;
*)
    echo "The seed $SEED is none of the seeds to train: $SEEDS." >&2
    exit 2
    ;;
esac
"$(dirname "$0")/make_pool.sh"
mkdir -p "$models"
# The seeds of a seed's members: five is engine.training.texture.FOLDS.
members_of() {
    seq "$1" 5 $(($1 + 5 * (MEMBERS - 1)))
}
# Each network on one core: as many threads as cores would make other roundings on another machine.
for seed in $SEEDS; do members_of "$seed"; done | xargs -P 2 -I '{}' "$PYTHON" -m tools.train_default_model \
    --pool build/pool --seed '{}' --width "$WIDTH" --threads 1 ${MODEL_NAME:+--name "$MODEL_NAME"} \
    --output "$models/member-{}.safetensors"
for seed in $SEEDS; do
    # shellcheck disable=SC2046  # one word a member
    "$PYTHON" -m tools.join_models --output "$models/seed-$seed.safetensors" \
        --model $(members_of "$seed" | sed "s|.*|$models/member-&.safetensors|")
done
# shellcheck disable=SC2046  # one word a seed
"$PYTHON" -m tools.calibrate_default_model --pool build/pool --textures "$TEXTURES" \
    --model $(printf "$models/seed-%s.safetensors " $SEEDS)
cp "$models/seed-$SEED.safetensors" "$output.trained"
mv "$output.trained" "$output"
