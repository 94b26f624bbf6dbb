/** The batch script of `ptq slurm`: a worker for each element of a job array. */
import { quoted } from '../commands/shell-quote.js'

/** The parameters of the script. */
export interface SlurmJob {
  readonly name: string
  /** Words of the shell: the program with the arguments before `poll`. */
  readonly ptq: readonly string[]
  /** The queue as a worker on any node names it. */
  readonly queue: string
  /** Options of `ptq poll`, as words. */
  readonly pollOptions: readonly string[]
  /** The working directory of the workers. */
  readonly cwd: string
  readonly cpus: number
  readonly memoryPerCpu: string
  readonly time: string
  /** Further options of sbatch, such as `--gres=gpu:1`. */
  readonly sbatch: readonly string[]
}

/** Slurm sends SIGTERM this long before the end of the time; workers release unfinished tasks by then. Seconds. */
const warningSeconds = 120
const graceSeconds = 100

export function slurmScript(job: SlurmJob, workers: number): string {
  const { name, ptq, queue, pollOptions, cwd, cpus, memoryPerCpu, time, sbatch } = job
  const options = [
    `--job-name=${name}`,
    `--array=0-${workers - 1}`,
    '--ntasks=1',
    `--cpus-per-task=${cpus}`,
    `--mem-per-cpu=${memoryPerCpu}`,
    `--time=${time}`,
    `--output=${name}-%A_%a.log`,
    ...sbatch,
  ]
  return `#!/bin/bash
# Workers of one queue, one for each element of a job array. Each ends when the queue is empty. One that is stopped or dies
# loses nothing: its tasks go to others.
${options.map(option => `#SBATCH ${option}`).join('\n')}
# Slurm otherwise sends SIGTERM at the end of the time and SIGKILL some 30 seconds later. \`B:\` is this shell: the worker.
#SBATCH --signal=B:TERM@${warningSeconds}
# Preempted, it goes back into Slurm's queue.
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
cd ${quoted(cwd)}

# The worker begins nothing that would not end by then. Older versions of Slurm do not set it.
if [[ -z \${SLURM_JOB_END_TIME:-} ]] && end=$(squeue --noheader --job "$SLURM_JOB_ID" --format %e 2>/dev/null); then
  SLURM_JOB_END_TIME=$(date --date "$end" +%s 2>/dev/null) && export SLURM_JOB_END_TIME
fi

# exec: Slurm signals this process only, and a shell would not pass it on before the worker ends.
exec ${[...ptq, 'poll', queue].map(quoted).join(' ')} \\
  --parallel "\${SLURM_CPUS_PER_TASK:-1}" --until-empty --tally --grace-sec ${graceSeconds}${pollOptions
    .map(word => ` \\\n  ${quoted(word)}`)
    .join('')}
`
}
