import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ArgumentsCamelCase, Argv } from 'yargs'
import type { TaskQueue } from '../index.js'
import { numberOption, singleText, textOption } from './option-values.js'
import { pollCommand } from './poll.js'
import { printable, printLine } from './printing.js'
import { defineCommand, type QueueArguments, queueArgument, withQueue } from './queue-arguments.js'
import { optionsOf } from './refusal.js'
import { type SlurmJob, slurmScript } from './slurm-script.js'
import { UsageError } from './usage-error.js'

/** `ptq slurm` */
export const slurmCommand = defineCommand({
  command: 'slurm <queue>',
  describe: 'Print a job array of workers for Slurm, or submit it',
  builder: yargs =>
    slurmOptions(queueArgument(yargs))
      .usage(
        '$0 slurm <queue> [options] [-- options of ptq poll]\n\nPrint a job array of workers for Slurm, or submit it',
      )
      .example('# A look at it, then 16 workers\n$0 slurm /shared/q --workers 16 --commands', '')
      .example('$0 slurm /shared/q --workers 16 --commands --submit -- --timeout-sec 3600', '')
      .example('# From cron: as many as are missing\n$0 slurm /shared/q --keep 16 --load ./tasks.js', ''),
  // The words after `--`, see the parser.
  handler: args => slurm(args, args.rest as readonly string[]),
})

type SlurmArguments =
  ReturnType<typeof slurmOptions<QueueArguments & { queue: string }>> extends Argv<infer Args>
    ? ArgumentsCamelCase<Args>
    : never

function slurmOptions<Args>(yargs: Argv<Args>) {
  return yargs
    .option('workers', numberOption('--workers', 'How many workers', { integer: true, min: 1 }))
    .option(
      'keep',
      numberOption('--keep', 'Submit as many as are missing to so many, no more than there are tasks; once, for cron', {
        integer: true,
        min: 1,
      }),
    )
    .option('submit', { type: 'boolean', describe: 'Submit the script instead of printing it' })
    .option('commands', { type: 'boolean', describe: 'Workers for commands, instead of those with --load' })
    .option(
      'cpus',
      numberOption('--cpus', 'Cores of a worker: so many tasks run at once (default: 1)', { integer: true, min: 1 }),
    )
    .option('mem-per-cpu', wordOption('--mem-per-cpu', /^\d+[KMGT]?$/, '2G', 'Memory for each core (default: 2G)'))
    .option('time', wordOption('--time', /^[\d:-]+$/, '04:00:00', 'Time of a worker, as of sbatch (default: 04:00:00)'))
    .option(
      'job-name',
      wordOption('--job-name', /^[\w.-]+$/, 'ptq-tiles', 'By which --keep counts (default: after the queue)'),
    )
    .option('sbatch', {
      type: 'string',
      array: true,
      requiresArg: true,
      coerce: sbatchOption,
      describe: 'A further option of sbatch, such as --sbatch=--gres=gpu:1. May be repeated',
    })
}

async function slurm(args: SlurmArguments, rest: readonly string[]): Promise<void> {
  const { workers, keep, submit, load, commands } = args
  if ((workers === undefined) === (keep === undefined)) {
    throw new UsageError('Expected --workers N, or --keep N to submit those that are missing')
  }
  if ((load === undefined) === (commands !== true)) {
    throw new UsageError('Expected --load FILE for workers with tasks of yours, or --commands, and not both')
  }
  requirePollOptions(rest)
  // Modules of --load are for the workers.
  await withQueue(args.queue, { ...args, load: undefined }, async queue => {
    const job = jobOf(args, rest, queue)
    if (keep === undefined && submit !== true) {
      process.stdout.write(slurmScript(job, workers ?? 1))
      return
    }
    const count = keep === undefined ? (workers ?? 1) : await missing(queue, job.name, keep)
    if (count === 0) return
    const id = (await outputOf('sbatch', ['--parsable'], slurmScript(job, count))).trim()
    await printLine(
      `Submitted ${count === 1 ? '1 worker' : `${count} workers`} for ${printable(queue.url)} as job ${printable(id)}`,
    )
  })
}

function jobOf(args: SlurmArguments, rest: readonly string[], queue: TaskQueue): SlurmJob {
  const { load, cpus = 1, memPerCpu = '2G', time = '04:00:00', sbatch = [] } = args
  const tasks = load === undefined ? ['--commands'] : load.flatMap(file => ['--load', moduleOf(file)])
  return {
    name: args.jobName ?? jobName(queue.url),
    ptq: [process.execPath, fileURLToPath(new URL('./bin.cjs', import.meta.url))],
    queue: queue.url,
    pollOptions: [...tasks, ...backendWords(args), ...rest],
    cwd: process.cwd(),
    cpus,
    memoryPerCpu: memPerCpu,
    time,
    sbatch,
  }
}

/** A file as nodes find it; the name of a package stays. */
function moduleOf(name: string): string {
  return /^(?:\.{0,2}\/|~)|\.[cm]?[jt]s$/.test(name) ? resolve(name) : name
}

/** Options of the queue's backend that workers need too. */
function backendWords(args: SlurmArguments): string[] {
  const { region, endpoint, concurrency, durable } = args
  const given = { '--region': region, '--endpoint': endpoint, '--concurrency': concurrency }
  const words = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)]))
  return durable === true ? [...words, '--durable'] : words
}

/** Distinguishes the workers of this queue from those of others. */
function jobName(url: string): string {
  const last = /([^/?]*)\/*(?:\?.*)?$/.exec(url)?.[1] ?? ''
  const hash = createHash('sha256').update(url).digest('hex').slice(0, 6)
  return `ptq-${last.replace(/[^\w.-]+/g, '-').slice(0, 40)}-${hash}`
}

/** The number of missing workers: those that wait in Slurm's queue count as present. */
async function missing(queue: TaskQueue, name: string, keep: number): Promise<number> {
  const enqueued = await queue.enqueued()
  const wanted = Number.isNaN(enqueued) ? keep : Math.min(keep, enqueued)
  if (wanted === 0) return 0
  const listed = await outputOf('squeue', ['--noheader', '--array', '--me', `--name=${name}`, '--format=%i'], '')
  return Math.max(0, wanted - listed.split('\n').filter(line => line.trim() !== '').length)
}

/** Runs a program of Slurm with `input` as its stdin. @throws Error where it can't be run, or fails */
function outputOf(program: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    // A program that ends without reading reports the reason by its exit code.
    child.stdin.on('error', () => undefined).end(input)
    child.once('error', cause =>
      reject(new Error(`Expected Slurm here, but ${program} can't be run: ${cause.message}`, { cause })),
    )
    child.once('close', code => {
      if (code === 0) resolve(output)
      else reject(new Error(`${program} failed with exit code ${code}`))
    })
  })
}

function requirePollOptions(words: readonly string[]): void {
  const known = optionsOf(pollCommand)
  for (const word of words) {
    const [name = ''] = word.split('=', 1)
    if (!name.startsWith('-') || known.includes(name.replace(/^--no-/, '--'))) continue
    throw new UsageError(`Expected options of ptq poll after --, got ${name}: see ptq poll --help`)
  }
}

function wordOption(option: string, pattern: RegExp, example: string, describe: string) {
  const { coerce, ...rest } = textOption(option, describe)
  return {
    ...rest,
    coerce: (text: unknown) => {
      const word = coerce(text)
      if (word === undefined || pattern.test(word)) return word
      throw new UsageError(`Expected ${option} to be a value such as ${example}, got ${word}`)
    },
  } as const
}

function sbatchOption(texts: unknown): string[] | undefined {
  if (!Array.isArray(texts)) return undefined
  return texts.map(text => {
    const option = singleText('--sbatch')(String(text)) ?? ''
    // Each becomes a line of the script.
    if (/^--?[a-z][^\n\r]*$/i.test(option)) return option
    throw new UsageError(
      `Expected --sbatch to be an option of sbatch, such as --sbatch=--gres=gpu:1, got ${printable(option)}`,
    )
  })
}
