#!/bin/bash
# Workers of one queue, one for each element of a job array, from the folder where ptq is installed:
#
#   sbatch --array=0-15 examples/slurm/array.sh /shared/queue ./dist/tasks.js
#
# Each ends when the queue is empty. One that is stopped or dies loses nothing: its tasks go to others.
#SBATCH --job-name=ptq
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --output=ptq-%A_%a.log
# Slurm otherwise sends SIGTERM at the end of the time and SIGKILL some 30 seconds later. `B:` is this shell: the worker.
#SBATCH --signal=B:TERM@120
# Preempted, it goes back into Slurm's queue.
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

queue=${1:?Expected a queue: sbatch array.sh /shared/queue ./dist/tasks.js}
tasks=${2:?Expected a module with tasks: sbatch array.sh /shared/queue ./dist/tasks.js}

# The worker begins nothing that would not end by then. Older versions of Slurm do not set it.
if [[ -z ${SLURM_JOB_END_TIME:-} ]] && end=$(squeue --noheader --job "$SLURM_JOB_ID" --format %e 2>/dev/null); then
  SLURM_JOB_END_TIME=$(date --date "$end" +%s 2>/dev/null) && export SLURM_JOB_END_TIME
fi

# exec: Slurm signals this process only, and a shell would not pass it on before the worker ends. --grace-sec is shorter than
# the 120 seconds above: what is not finished by then is given back.
exec node_modules/.bin/ptq poll "$queue" --load "$tasks" --parallel "${SLURM_CPUS_PER_TASK:-1}" \
  --until-empty --tally --grace-sec 100
