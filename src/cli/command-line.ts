/** The commands of `ptq`, and the parser that runs one. */
import { readFileSync } from 'node:fs'
import yargs, { type CommandModule, type FallbackCompletionFunction } from 'yargs'
import { cpCommand } from './cp.js'
import { failuresCommand } from './failures.js'
import { insertCommand } from './insert.js'
import { licenseCommand } from './license.js'
import { logCommand } from './log.js'
import { lsCommand } from './ls.js'
import { mvCommand } from './mv.js'
import { pollCommand } from './poll.js'
import { purgeCommand } from './purge.js'
import { markArguments, type SplitArguments, splitArguments, unmarkArguments } from './raw-arguments.js'
import { optionsWithValue, refusal } from './refusal.js'
import { releaseCommand } from './release.js'
import { resultsCommand } from './results.js'
import { retryCommand } from './retry.js'
import { rezeroCommand } from './rezero.js'
import { runCommand } from './run.js'
import { serveCommand } from './serve.js'
import { showCommand } from './show.js'
import { slurmCommand } from './slurm.js'
import { statusCommand } from './status.js'

function version(): string {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
  )
  return version
}

const commands = [
  statusCommand,
  runCommand,
  serveCommand,
  pollCommand,
  slurmCommand,
  insertCommand,
  lsCommand,
  showCommand,
  logCommand,
  resultsCommand,
  failuresCommand,
  retryCommand,
  releaseCommand,
  rezeroCommand,
  purgeCommand,
  cpCommand,
  mvCommand,
  licenseCommand,
]

/** The parser proposes an alias of one letter with two dashes, as `--w`. */
const withoutShortAliases: FallbackCompletionFunction = (_current, _args, propose, done) =>
  propose((error, proposals) => {
    if (error) throw error
    done((proposals ?? []).filter(each => !/^--\w(?::|$)/.test(each)))
  })

/** Takes away the words of another command: those of the one that `run` runs, options of `poll` for `slurm`. */
function ownArguments(args: readonly string[]): SplitArguments {
  if (args[0] === 'run') return splitArguments(args, optionsWithValue(runCommand))
  const end = args[0] === 'slurm' ? args.indexOf('--') : -1
  return end < 0 ? { own: args, rest: [] } : { own: args.slice(0, end), rest: args.slice(end + 1) }
}

/** Parses the arguments of `ptq` and runs the command that they name. @throws UsageError for bad use, otherwise what the command throws */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  // The words of another command are none of the parser's business, and may be very many.
  const { own, rest } = ownArguments(args)
  const parser = yargs().middleware(unmarkArguments, true)
  for (const command of commands) parser.command(command as CommandModule)
  await parser
    .scriptName('ptq')
    .usage('$0 <command>\n\nA task queue: on a plain directory, on Amazon SQS, or in PostgreSQL.')
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
      throw refusal(commands as readonly CommandModule[], own, message, error)
    })
    .parseAsync(markArguments(own), { rest })
}
