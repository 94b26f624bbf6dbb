import { createReadStream } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { ArgumentsCamelCase, Argv } from 'yargs'
import { CommandMaker } from '../commands/command-maker.js'
import { commandTask } from '../commands/command-task.js'
import { parseHalt } from '../commands/halt.js'
import { type InputSource, inputValues, splitSources } from '../commands/inputs.js'
import { JobLog } from '../commands/job-log.js'
import type { OutputTarget } from '../commands/printer.js'
import { findProgram, noProgram } from '../commands/program.js'
import { runHere } from '../commands/run-here.js'
import { SuccessRecord } from '../commands/success-record.js'
import { nameAndMessageOf } from '../errors/thrown.js'
import { startProgress } from '../progress/progress.js'
import { counted } from '../text/counted.js'
import { interruptible } from './interruption.js'
import { linesOf } from './lines.js'
import { numberIn, numberOption, singleText, textOption } from './option-values.js'
import { countOf, drained, printable, printLine } from './printing.js'
import { defineCommand, queueOptions, withQueue } from './queue-arguments.js'
import { slotOption, slotValuesOf } from './slot-option.js'
import { UsageError } from './usage-error.js'

/** `ptq run` */
export const runCommand = defineCommand({
  command: 'run',
  describe: 'Run a command for each of many inputs, on all cores',
  builder: yargs =>
    runOptions(yargs)
      .usage(`$0 run [options] [--] command [arguments] [::: value…] [:::: file…]\n\n${description}`)
      .example('$0 run -- convert {} -resize 50% {.}.small.jpg ::: *.jpg', '')
      .example('# Values of stdin, one a line\nls *.mp4 | $0 run --parallel 2 -- ffmpeg -i {} {.}.webm', '')
      .example('# All combinations\n$0 run ./train {1} {2} ::: 0.1 0.01 ::: 1 2 3', '')
      .example(
        '# On many machines, with workers: ptq poll ./q --commands\n$0 run --queue ./q -- ./segment.sh {} ::: *.tif',
        '',
      )
      .example('# What a shell is needed for\n$0 run --shell "gzip -c {} > {/}.gz" ::: logs/*.txt', ''),
  handler: args => run(args as RunArguments),
})

const description = `Run a command for each of many inputs, with GNU parallel's replacement strings:
  {}  the input     {.}  without extension     {/}  its file name     {//}  its folder
  {/.}  file name without extension   {#}  number of the task   {%}  number of the slot
  {1} {2.} {3/}  the same of one source. Without any, {} is added at the end.
Inputs come after ::: or from files after ::::, else from stdin, one a line.`

type RunArguments = (ReturnType<typeof runOptions> extends Argv<infer Args> ? ArgumentsCamelCase<Args> : never) & {
  /** The words after the options, as they are. */
  readonly rest: readonly string[]
}

function runOptions<Args>(yargs: Argv<Args>) {
  return queueOptions(yargs)
    .option('queue', textOption('--queue', 'Insert the commands into this queue, for ptq poll --commands to run'))
    .option(
      'pack',
      numberOption('--pack', 'With --queue: up to so many commands in a message', { integer: true, min: 1 }),
    )
    .option('parallel', {
      alias: 'j',
      type: 'string',
      requiresArg: true,
      coerce: parallelOption,
      describe: 'Commands at once; all: one a core (default: all)',
    })
    .option('shell', { type: 'boolean', describe: 'Have /bin/sh read the command; values are quoted' })
    .option('colsep', {
      type: 'string',
      requiresArg: true,
      coerce: separatorOption,
      describe: 'Split each input into columns {1} {2} … at this regular expression',
    })
    .option('null', { type: 'boolean', alias: '0', describe: 'Inputs of files and stdin end with NUL: find -print0' })
    .option(
      'timeout-sec',
      numberOption('--timeout-sec', 'A command that runs longer is ended, with its children, and has failed', {
        min: Number.MIN_VALUE,
      }),
    )
    .option(
      'retries',
      numberOption('--retries', 'Start a command that fails so many times in all (default: 1)', {
        integer: true,
        min: 1,
      }),
    )
    .option('halt', {
      type: 'string',
      requiresArg: true,
      coerce: haltOption,
      describe: 'now,fail=1: end at the first failure; soon: let others finish; also success=N, done=N',
    })
    .option('keep-order', { type: 'boolean', alias: 'k', describe: 'Print outputs in the order of the inputs' })
    .option('line-buffer', { type: 'boolean', describe: 'Print each line as it comes, not each output when it ends' })
    .option(
      'max-output-mb',
      numberOption('--max-output-mb', 'End a command that writes more, unless --line-buffer (default: 1000)', {
        min: Number.MIN_VALUE,
      }),
    )
    .option('tag', { type: 'boolean', describe: 'Begin each line of output with its input' })
    .option('dry-run', { type: 'boolean', describe: 'Print the commands, run nothing' })
    .option('joblog', textOption('--joblog', "Write what ran to this file, in GNU parallel's format"))
    .option('resume', textOption('--resume', 'A name: run what has not succeeded under it yet'))
    .option('slots', slotOption)
    .option('progress', { type: 'boolean', alias: 'eta', describe: 'Show a bar with rate and ETA on a terminal' })
}

async function run(args: RunArguments): Promise<void> {
  const { command, sources } = splitSources(args.rest)
  if (args.rest.length === 0 && process.stdin.isTTY) {
    throw new UsageError('Expected a command, such as ptq run -- gzip {} ::: *.txt: see ptq run --help')
  }
  const maker = new CommandMaker(command, args.shell === true)
  if (args.queue !== undefined) requireForQueue(args, maker)
  else if (args.pack !== undefined) throw new UsageError('Expected --pack with --queue only')
  const { program } = maker
  // Workers may have other programs.
  if (args.queue === undefined && program !== undefined && findProgram(program, process.cwd()) === undefined) {
    throw new UsageError(noProgram(program, process.cwd()).message)
  }
  await interruptible(
    async signal => {
      const inputs = inputValues(sources, {
        valuesIn: name => {
          const input = name === '-' ? process.stdin : createReadStream(name)
          return linesOf(input, name === '-' ? 'stdin' : name, signal, { raw: true, nul: args.null === true })
        },
        columnSeparator: args.colsep,
      })
      if (args.dryRun) await printCommands(maker, inputs)
      else if (args.queue !== undefined) await insertAll(args, args.queue, maker, inputs, totalOf(sources))
      else await runAll(args, maker, inputs, totalOf(sources), signal)
    },
    { quiet: true },
  )
}

async function printCommands(maker: CommandMaker, inputs: AsyncIterable<readonly string[]>): Promise<void> {
  let sequence = 0
  for await (const values of inputs) await printLine(maker.line({ values, sequence: ++sequence, slot: 1 }))
}

/** Options that say how commands run, which is for workers to say where they take them from a queue. */
const optionsOfRuns = [
  'parallel',
  'timeout-sec',
  'retries',
  'halt',
  'keep-order',
  'line-buffer',
  'max-output-mb',
  'tag',
  'joblog',
  'slots',
  'progress',
] as const

function requireForQueue(args: RunArguments, maker: CommandMaker): void {
  const given = optionsOfRuns.find(name => args[name] !== undefined)
  if (given !== undefined) {
    throw new UsageError(`Expected --${given} without --queue: how commands run is for ptq poll --commands to say`)
  }
  if (maker.usesSlot) throw new UsageError('Expected no {%} with --queue: a command has PTQ_SLOT in its environment')
}

async function insertAll(
  args: RunArguments,
  queueText: string,
  maker: CommandMaker,
  inputs: AsyncIterable<readonly string[]>,
  total: number | undefined,
): Promise<void> {
  const cwd = process.cwd()
  const tasks = async function* () {
    let sequence = 0
    for await (const values of inputs) yield commandTask(maker.argv({ values, sequence: ++sequence, slot: 0 }), cwd)
  }
  await withQueue(queueText, args, async queue => {
    const inserted = await queue.insert(tasks(), {
      ...(total !== undefined && { total }),
      ...(args.pack !== undefined && { pack: args.pack }),
      ...(args.resume !== undefined && { resume: args.resume }),
    })
    await printLine(`Inserted ${countOf(inserted)} into ${printable(queue.url)}`)
  })
}

async function runAll(
  args: RunArguments,
  maker: CommandMaker,
  inputs: AsyncIterable<readonly string[]>,
  total: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const parallel = parallelOf(args)
  const slots = slotValuesOf(args.slots, parallel)
  const jobLog = args.joblog === undefined ? undefined : new JobLog(args.joblog)
  const resume = args.resume === undefined ? undefined : new SuccessRecord(args.resume)
  const progress = startProgress({ label: 'commands', total, enabled: args.progress === true })
  try {
    const { failed, succeeded, halted } = await runHere(maker, inputs, {
      parallel,
      timeoutSeconds: args.timeoutSec,
      attempts: args.retries ?? 1,
      halt: args.halt,
      keepOrder: args.keepOrder === true,
      lineBuffer: args.lineBuffer === true,
      maxOutputBytes: (args.maxOutputMb ?? 1000) * 1e6,
      tag: args.tag === true,
      slots,
      jobLog,
      resume,
      signal,
      targets: { stdout: targetOf(process.stdout), stderr: targetOf(process.stderr) },
      onFailed: (line, reason) => console.error(`ptq: ${printable(reason)}: ${printable(line)}`),
      onDone: () => progress.add(1),
    })
    // As for GNU parallel, failures before the awaited success are none of the run.
    const isHaltedBySuccess = halted && args.halt?.what === 'success'
    if (failed > 0 && !isHaltedBySuccess && !signal.aborted)
      throw new Error(`${failed} of ${counted(failed + succeeded, 'command')} failed`)
  } finally {
    progress.stop()
    jobLog?.close()
    resume?.close()
  }
}

/** All slots need a value: by default there are as many as values. */
function parallelOf({ parallel, slots }: RunArguments): number {
  if (parallel !== undefined) return parallel
  const fewest = Math.min(...[...(slots?.values() ?? [])].map(values => values.length))
  return Number.isFinite(fewest) ? fewest : availableParallelism()
}

/** The number of tasks, if it is known without reading a file. */
function totalOf(sources: readonly InputSource[]): number | undefined {
  if (sources.some(({ kind, linked }) => kind === 'files' || linked)) return undefined
  return sources.reduce((total, { words }) => total * words.length, 1)
}

function targetOf(stream: NodeJS.WriteStream): OutputTarget {
  // One listener for all commands that wait: Node warns of more than ten.
  let waiting: Promise<void> | undefined
  return {
    write: chunk => chunk.length === 0 || stream.write(chunk),
    drained: () => {
      waiting ??= drained(stream).finally(() => {
        waiting = undefined
      })
      return waiting
    },
  }
}

function parallelOption(text: unknown): number | undefined {
  if (text === 'all') return availableParallelism()
  return numberIn('--parallel', { integer: true, min: 1 })(text)
}

function separatorOption(text: unknown): RegExp | undefined {
  const single = singleText('--colsep')(text)
  if (single === undefined) return undefined
  try {
    return new RegExp(single, 'u')
  } catch (cause) {
    throw new UsageError(`Expected --colsep to be a regular expression: ${nameAndMessageOf(cause)}`, { cause })
  }
}

function haltOption(text: unknown): ReturnType<typeof parseHalt> {
  const single = singleText('--halt')(text)
  try {
    return single === undefined ? undefined : parseHalt(single)
  } catch (cause) {
    throw new UsageError((cause as Error).message.replace('Expected', 'Expected --halt to be'), { cause })
  }
}
