/** The subcommands of `ptq`, and the parser that runs one. */
import { readFileSync } from 'node:fs'
import yargs, { type CommandModule, type FallbackCompletionFunction } from 'yargs'
import { markArguments, type SplitArguments, splitArguments, unmarkArguments } from './raw-arguments.js'
import { optionsWithValue, refusal } from './refusal.js'

function version(): string {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
  )
  return version
}

/** Loads the module of each command, in the order of the help: a process runs one, and modules are half of its start. */
const commands: Readonly<Record<string, () => Promise<unknown>>> = {
  status: async () => (await import('./status.js')).statusCommand,
  run: async () => (await import('./run.js')).runCommand,
  serve: async () => (await import('./serve.js')).serveCommand,
  poll: async () => (await import('./poll.js')).pollCommand,
  slurm: async () => (await import('./slurm.js')).slurmCommand,
  insert: async () => (await import('./insert.js')).insertCommand,
  ls: async () => (await import('./ls.js')).lsCommand,
  show: async () => (await import('./show.js')).showCommand,
  log: async () => (await import('./log.js')).logCommand,
  results: async () => (await import('./results.js')).resultsCommand,
  failures: async () => (await import('./failures.js')).failuresCommand,
  retry: async () => (await import('./retry.js')).retryCommand,
  release: async () => (await import('./release.js')).releaseCommand,
  rezero: async () => (await import('./rezero.js')).rezeroCommand,
  purge: async () => (await import('./purge.js')).purgeCommand,
  cp: async () => (await import('./cp.js')).cpCommand,
  mv: async () => (await import('./mv.js')).mvCommand,
  license: async () => (await import('./license.js')).licenseCommand,
}

/** The parser proposes an alias of one letter with two dashes, as `--w`. */
const withoutShortAliases: FallbackCompletionFunction = (_current, _args, propose, done) =>
  propose((error, proposals) => {
    if (error) throw error
    done((proposals ?? []).filter(each => !/^--\w(?::|$)/.test(each)))
  })

/** What the parser says of arguments that it refuses. */
class ParserRefusal extends Error {
  constructor(
    readonly said: string | null,
    readonly error: Error | undefined,
  ) {
    super(said ?? undefined, { cause: error })
  }
}

function loadAll(): Promise<CommandModule[]> {
  return Promise.all(Object.values(commands).map(async load => (await load()) as CommandModule))
}

/** The command that the arguments name, or all of them where that is none. */
async function loadNamed([name = '']: readonly string[]): Promise<readonly CommandModule[]> {
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  return load === undefined ? loadAll() : [(await load()) as CommandModule]
}

/** Takes away the words of another command: those of the one that `run` runs, options of `poll` for `slurm`. */
function ownArguments(args: readonly string[], [named]: readonly CommandModule[]): SplitArguments {
  if (args[0] === 'run' && named !== undefined) return splitArguments(args, optionsWithValue(named))
  const end = args[0] === 'slurm' ? args.indexOf('--') : -1
  return end < 0 ? { own: args, rest: [] } : { own: args.slice(0, end), rest: args.slice(end + 1) }
}

/** Parses the arguments of `ptq` and runs the command that they name. @throws UsageError for bad use, otherwise what the command throws */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  const loaded = await loadNamed(args)
  // The words of another command are none of the parser's business, and may be very many.
  const { own, rest } = ownArguments(args, loaded)
  const parser = yargs().middleware(unmarkArguments, true)
  for (const command of loaded) parser.command(command)
  parser
    .scriptName('ptq')
    .usage('$0 <command>\n\nA task queue: on a plain directory, on Amazon SQS, in PostgreSQL or in Redis.')
    .completion('completion', 'Print a script that completes ptq commands in bash or zsh', withoutShortAliases)
    .example('# How far is it?\n$0 status ./queue', '')
    .example('# Work on it with four threads\n$0 poll ./queue --load ./tasks.js --parallel 4', '')
    .epilogue(
      'A queue is a folder (./queue, /data/queue) or a URL (sqs://name, postgres://host/db?queue=name). PTQ_DEBUG=1 shows where an error came from.',
    )
    .demandCommand(1, 'Expected a command, such as ptq status QUEUE')
    .strictCommands()
    .strict()
    .parserConfiguration({
      'dot-notation': false,
      // `--load a.js queue`: the queue is no second module.
      'greedy-arrays': false,
      'parse-positional-numbers': false,
    })
    .locale('en')
    .version(version())
    .alias({ help: 'h' })
    .wrap(Math.min(100, process.stdout.columns ?? 80))
    .exitProcess(false)
    .fail((message, error) => {
      // Also called with what a command throws.
      throw error !== undefined && error.name !== 'YError' ? error : new ParserRefusal(message, error)
    })
  try {
    await parser.parseAsync(markArguments(own), { rest })
  } catch (error) {
    throw error instanceof ParserRefusal ? refusal(await loadAll(), own, error.said, error.error) : error
  }
}
