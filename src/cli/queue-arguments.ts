/** The arguments that subcommands share, and the queues that they name. */
import type { Argv, CommandModule } from 'yargs'
import { isServerProtocol } from '../backend/server-url.js'
import { withoutUserInfo } from '../errors/errors.js'
import type { TaskQueue, TaskQueueOptions } from '../index.js'
import { numberOption, textOption } from './option-values.js'
import { UsageError } from './usage-error.js'

/** Checks that a command's handler gets what its builder declares. */
export function defineCommand<Args>(command: CommandModule<object, Args>): CommandModule<object, Args> {
  return command
}

/** The options of a queue's backend. */
export interface QueueArguments {
  readonly load: string[] | undefined
  readonly region: string | undefined
  readonly endpoint: string | undefined
  readonly 'create-if-missing': boolean | undefined
  readonly concurrency: number | undefined
  readonly durable: boolean | undefined
}

/** Declares the options of backends, and `--load`. */
export function queueOptions<Args>(yargs: Argv<Args>): Argv<Args & QueueArguments> {
  return (
    yargs
      .option('load', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'Import a module first: a file, or a package from here. May be repeated',
      })
      .option('region', textOption('--region', "SQS: the queue's region"))
      .option('endpoint', textOption('--endpoint', 'SQS: where requests go, such as http://localhost:4566'))
      .option('create-if-missing', { type: 'boolean', describe: 'SQS: make the queue where there is none' })
      .option(
        'concurrency',
        numberOption('--concurrency', 'Requests or files in flight at once (default: 40)', { integer: true, min: 1 }),
      )
      .option('durable', { type: 'boolean', describe: 'File queue: survive a power cut too' })
      // The options of the command itself come first, then these, then --help.
      .group([], 'Options:')
      .group(['load', 'region', 'endpoint', 'create-if-missing', 'concurrency', 'durable'], 'Queue options:')
      .group(['help', 'version'], 'Other options:') as Argv<Args & QueueArguments>
  )
}

/** Declares the queue that a command is about, and its options. */
export function queueArgument<Args>(yargs: Argv<Args>): Argv<Args & QueueArguments & { queue: string }> {
  return queueOptions(
    yargs.positional('queue', {
      type: 'string',
      demandOption: true,
      describe: 'A folder, or a URL such as sqs://name',
    }),
  )
}

/** A queue's URL as given on the command line: a name without a protocol is a folder, a bare word too. */
export function queueUrl(text: string): string {
  if (text.includes('://')) {
    if (text.toLowerCase().startsWith('mem://')) {
      throw new UsageError(
        `Expected a queue that other processes can see, got ${text}, which lives in one process only`,
      )
    }
    return text
  }
  if (/^[a-z][a-z0-9+.-]+:/i.test(text)) {
    throw new UsageError(`Expected // after the protocol, got ${text}: write ./${text} if it is a folder`)
  }
  if (text === '') throw new UsageError('Expected a queue, a folder or a URL such as sqs://name, got an empty text')
  return /^(?:\.{0,2}[/\\]|\.{1,2}$|~(?:[/\\]|$)|[a-z]:[/\\])/i.test(text) ? text : `./${text}`
}

/** Flags that only one backend reads. */
const flagsOf = { sqs: ['region', 'endpoint', 'create-if-missing'], fq: ['durable'] } as const

/** `undefined`: of a registered kind, which may read any flag. */
function kindOf(url: string): keyof typeof flagsOf | 'server' | undefined {
  if (/^(?:sqs|https?):\/\//i.test(url)) return 'sqs'
  if (isServerProtocol(url.slice(0, Math.max(0, url.indexOf('://'))).toLowerCase())) return 'server'
  return /^(?!fq:)[a-z][a-z0-9+.-]*:\/\//i.test(url) ? undefined : 'fq'
}

/** @throws UsageError for a flag that none of the queues supports */
export function requireFittingFlags(urls: readonly string[], args: QueueArguments): void {
  const kinds = urls.map(kindOf)
  if (kinds.includes(undefined)) return
  for (const [kind, flags] of Object.entries(flagsOf)) {
    const given = flags.find(flag => args[flag] !== undefined)
    if (given !== undefined && !kinds.includes(kind as keyof typeof flagsOf)) {
      const got = withoutUserInfo(urls.join(' and '))
      throw new UsageError(`Expected --${given} with a queue of ${kind}:// only, got ${got}`)
    }
  }
}

/**
 * Refuses what SQS doesn't support before credentials are read.
 *
 * @throws UsageError where the queue is one on SQS
 */
export function requireNotSqs(queue: string, reason: string | undefined): void {
  if (reason !== undefined && kindOf(queueUrl(queue)) === 'sqs') throw new UsageError(`${queue} ${reason}`)
}

/** The reason why SQS refuses commands that need dead letters, if none are named. */
export const noDeadLetters = 'has no dead letters of its own: pass their queue as --dead-letter QUEUE'

function backendOptions(url: string, args: QueueArguments): TaskQueueOptions {
  const { region, endpoint, 'create-if-missing': createIfMissing, concurrency, durable } = args
  const kind = kindOf(url)
  const given = {
    concurrency,
    ...(kind !== 'fq' && kind !== 'server' && { region, endpoint, createIfMissing }),
    ...(kind !== 'sqs' && kind !== 'server' && { durable }),
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

/**
 * Opens a queue for `work`, with the modules of `--load` imported; closes it in any case.
 *
 * @param options.notOnSqs why SQS can't do that
 */
export async function withQueue<R>(
  text: string,
  args: QueueArguments,
  work: (queue: TaskQueue) => Promise<R>,
  { notOnSqs }: { notOnSqs?: string | undefined } = {},
): Promise<R> {
  const url = queueUrl(text)
  requireNotSqs(url, notOnSqs)
  requireFittingFlags([url], args)
  return withOpenQueue(url, args, work)
}

/** {@link withQueue}, without the check that the flags fit. */
export async function withOpenQueue<R>(
  url: string,
  args: QueueArguments,
  work: (queue: TaskQueue) => Promise<R>,
): Promise<R> {
  const { TaskQueue } = await import('../index.js')
  if (args.load !== undefined) await (await import('./load.js')).loadModules(args.load)
  const queue = new TaskQueue(url, backendOptions(url, args))
  try {
    return await work(queue)
  } finally {
    await queue.close()
  }
}

/** Fails for a queue that doesn't exist, in commands that would otherwise find nothing: it may be misspelt. */
export async function requireQueue(queue: TaskQueue): Promise<void> {
  if (!(await queue.exists()))
    throw new Error(`Expected a queue at ${queue.url}, found none: check its name; the first insert makes a queue`)
}
