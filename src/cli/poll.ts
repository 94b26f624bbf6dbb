import { availableParallelism } from 'node:os'
import type { ArgumentsCamelCase, Argv } from 'yargs'
import { withoutUserInfo } from '../errors/errors.js'
import { nameAndMessageOf } from '../errors/thrown.js'
import type { PollOptions, TaskQueue } from '../index.js'
import type { MetricsServer } from '../metrics/metrics-server.js'
import { checkCommandWorker, commandOptionsOf, commandWorkerOptions } from './command-worker-options.js'
import { type NumberLimits, numberIn, numberOption, singleText, textOption } from './option-values.js'
import { isWorkerProcess, processNumber } from './parent-process.js'
import { PollDisplay } from './poll-display.js'
import { pollInProcesses } from './poll-processes.js'
import { countOf, onOutputFailure, onReaderGone } from './printing.js'
import { defineCommand, type QueueArguments, queueArgument, queueUrl, withQueue } from './queue-arguments.js'
import { UsageError } from './usage-error.js'

// Above 0: the smallest number there is.
const positive = { min: Number.MIN_VALUE }

/** `ptq poll` */
export const pollCommand = defineCommand({
  command: 'poll <queue>',
  describe: 'Work: lease tasks, run them, remove them, until Ctrl-C or SIGTERM',
  builder: yargs =>
    commandWorkerOptions(pollOptions(queueArgument(yargs)))
      .example('# A worker on all cores\n$0 poll ./queue --load ./tasks.js --parallel all --tally', '')
      .example('$0 poll ./queue --load ./tasks.js --until-empty --timeout-sec 3600', '')
      .example('# A worker for commands, see ptq run --queue\n$0 poll ./queue --commands --parallel all', '')
      .example('# In a container\n$0 poll sqs://tasks --load ./tasks.js --lease-sec 300 --grace-sec 60', ''),
  handler: args => {
    checkCommandWorker(args)
    return args.processes === undefined || isWorkerProcess() ? work(args) : pollInProcesses(args.processes)
  },
})

type PollArguments = (ReturnType<typeof pollOptions> extends Argv<infer Args> ? ArgumentsCamelCase<Args> : never) &
  Parameters<typeof commandOptionsOf>[0]

function work(args: PollArguments): Promise<void> {
  return withQueue(args.queue, args, async queue => {
    const abort = new AbortController()
    onReaderGone(() => abort.abort())
    onOutputFailure(error => console.error(`ptq: warning: the output can't be written (${error.message}): working on`))
    const options = toPollOptions(args)
    const isVerbose = args.verbose === true
    const display = new PollDisplay(queue, { verbose: isVerbose, graceSeconds: options.graceSeconds })
    if (isVerbose) await display.printSteps()
    let metrics: MetricsServer | undefined
    try {
      metrics = await startMetrics(queue, args)
      display.metricsUrl = metrics?.url
      await queue.poll({ ...options, signal: abort.signal })
      display.begin()
    } finally {
      display.end()
      await metrics?.close()
    }
    const { deadLetters } = display
    if (deadLetters > 0) {
      const place = args.deadLetter === undefined ? '' : ` --dead-letter ${args.deadLetter}`
      const command = withoutUserInfo(`ptq failures ${args.queue}${place}`)
      throw new Error(`${countOf(deadLetters)} failed for good: see ${command}`)
    }
  })
}

/** Serves the worker's metrics if `--metrics-port` is given. @throws UsageError if the address can't be used */
async function startMetrics(queue: TaskQueue, args: PollArguments): Promise<MetricsServer | undefined> {
  const { metricsPort, metricsHost: host = '127.0.0.1', parallel = 1 } = args
  if (metricsPort === undefined) return undefined
  const { serveWorkerMetrics } = await import('../metrics/serve-worker.js')
  const port = metricsPort === 0 ? 0 : metricsPort + processNumber()
  const threads = parallel === true ? availableParallelism() : Math.max(1, parallel)
  try {
    return await serveWorkerMetrics(queue, { host, port, threads })
  } catch (cause) {
    const reason = nameAndMessageOf(cause)
    throw new UsageError(`Expected --metrics-port and --metrics-host to be free, got ${host} port ${port}: ${reason}`, {
      cause,
    })
  }
}

function pollOptions<Args extends QueueArguments & { queue: string }>(yargs: Argv<Args>) {
  const number = (option: string, describe: string, limits: NumberLimits = positive) =>
    numberOption(option, describe, limits)
  return yargs
    .option('parallel', {
      type: 'string',
      requiresArg: true,
      coerce: parallelOption,
      describe: 'Threads, each runs a task at a time; all: one a core; 0: in the main thread (default: 1)',
    })
    .option(
      'processes',
      number(
        '--processes',
        'Start that many worker processes, each with --parallel; one that crashes is started again',
        {
          integer: true,
          min: 1,
        },
      ),
    )
    .option('tally', { type: 'boolean', describe: 'Count completions in the queue' })
    .option('until-empty', { type: 'boolean', describe: 'End when the queue is empty, tasks of others included' })
    .option('until', {
      type: 'string',
      requiresArg: true,
      coerce: untilOption,
      describe: 'Begin nothing that would not end by then: a date such as 2026-01-31T18:00, or Unix seconds',
    })
    .option('lease-sec', number('--lease-sec', 'Length of a lease; renewed while a task runs (default: 600)'))
    .option('timeout-sec', number('--timeout-sec', 'A task that runs longer fails'))
    .option(
      'grace-sec',
      number('--grace-sec', 'Time for running tasks after Ctrl-C or SIGTERM (default: as long as they need)', {
        min: 0,
      }),
    )
    .option('max-memory-mb', number('--max-memory-mb', 'A task whose thread needs more heap fails'))
    .option(
      'max-attempts',
      number('--max-attempts', 'Failures after which a task moves to the dead letters (default: 5)', {
        integer: true,
        min: 1,
      }),
    )
    .option('dead-letter', textOption('--dead-letter', "The queue for dead letters (default: the queue's own)"))
    .option('results', textOption('--results', 'The queue that keeps outcomes of map (default: the queue itself)'))
    .option('on-error', {
      choices: ['retry', 'throw'] as const,
      requiresArg: true,
      describe: 'throw: the first failure ends the worker (default: retry)',
    })
    .option('backoff-exception', {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Name of an error that makes the worker wait instead of counting a failure. May be repeated',
    })
    .option('min-backoff-sec', number('--min-backoff-sec', 'The first wait where nothing is found (default: 1)'))
    .option('max-backoff-sec', number('--max-backoff-sec', 'The longest wait where nothing is found (default: 120)'))
    .option('execute-args', {
      type: 'string',
      requiresArg: true,
      coerce: executeArgsOption,
      describe: 'Further arguments for each task, a JSON array',
    })
    .option(
      'metrics-port',
      number('--metrics-port', 'Answer /metrics there, for Prometheus; with --processes each on the next port', {
        integer: true,
        min: 0,
        max: 65_535,
      }),
    )
    .option('metrics-host', textOption('--metrics-host', 'The address for --metrics-port (default: 127.0.0.1)'))
    .option('verbose', { type: 'boolean', alias: 'v', describe: 'Print a line for each step' })
}

function toPollOptions(args: PollArguments): PollOptions {
  const options = {
    parallel: args.parallel,
    leaseSeconds: args.leaseSec,
    tally: args.tally,
    untilEmpty: args.untilEmpty,
    until: args.until,
    maxAttempts: args.maxAttempts,
    timeoutSeconds: args.timeoutSec,
    maxMemoryMb: args.maxMemoryMb,
    graceSeconds: args.graceSec,
    onError: args.onError,
    deadLetter: args.deadLetter === undefined ? undefined : queueUrl(args.deadLetter),
    backoffExceptions: args.backoffException,
    minBackoffSeconds: args.minBackoffSec,
    maxBackoffSeconds: args.maxBackoffSec,
    executeArgs: args.executeArgs,
    commands: commandOptionsOf(args),
    results: args.results === undefined ? undefined : queueUrl(args.results),
  } satisfies { [Name in keyof PollOptions]: PollOptions[Name] | undefined }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

function parallelOption(text: unknown): number | true | undefined {
  return text === 'all' ? true : numberIn('--parallel', { integer: true })(text)
}

function untilOption(text: unknown): Date | undefined {
  const single = singleText('--until')(text)
  if (single === undefined) return undefined
  const until = new Date(/^\d+$/.test(single) ? Number(single) * 1000 : single)
  if (!Number.isNaN(until.getTime())) return until
  throw new UsageError(`Expected --until to be a date such as 2026-01-31T18:00, or Unix seconds, got ${single}`)
}

function executeArgsOption(text: unknown): unknown[] | undefined {
  const single = singleText('--execute-args')(text)
  if (single === undefined) return undefined
  try {
    const value: unknown = JSON.parse(single)
    if (Array.isArray(value)) return value
  } catch (cause) {
    throw new UsageError(`Expected --execute-args to be a JSON array: ${nameAndMessageOf(cause)}`, { cause })
  }
  throw new UsageError(`Expected --execute-args to be a JSON array, got ${single}`)
}
