/** `ptq`: queues from the command line. Exit codes: 0, 1 failed, 2 bad use or refused, 128 + n ended by signal n. */
import { readFileSync } from 'node:fs'
import yargs, { type CommandModule } from 'yargs'
import { cpCommand } from './cp.js'
import { printWarnings, reportError } from './failing.js'
import { failuresCommand } from './failures.js'
import { insertCommand, STDIN } from './insert.js'
import { licenseCommand } from './license.js'
import { lsCommand } from './ls.js'
import { mvCommand } from './mv.js'
import { pollCommand } from './poll.js'
import { endWithReader } from './printing.js'
import { purgeCommand } from './purge.js'
import { releaseCommand } from './release.js'
import { retryCommand } from './retry.js'
import { rezeroCommand } from './rezero.js'
import { showCommand } from './show.js'
import { statusCommand } from './status.js'
import { UsageError } from './usage-error.js'

function version(): string {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
  )
  return version
}

const commands = [
  statusCommand,
  pollCommand,
  insertCommand,
  lsCommand,
  showCommand,
  failuresCommand,
  retryCommand,
  releaseCommand,
  rezeroCommand,
  purgeCommand,
  cpCommand,
  mvCommand,
  licenseCommand,
]

/** What the parser refuses has a message; what a command throws is an error. */
function refusal(args: readonly string[], message: string | null, error: Error | undefined): Error {
  if (error && error.name !== 'YError') return error
  const syntax = commands.map(({ command }) => String(command)).find(command => command.split(' ')[0] === args[0])
  const said = (message ?? error?.message ?? '').replace(/[.:]?\s*$/, '')
  // The parser calls every word too many a command.
  const reason = syntax === undefined ? said : said.replace(/^Unknown command/, 'Unknown argument')
  const help = syntax === undefined ? 'see ptq --help' : `expected ptq ${syntax}, see ptq ${args[0]} --help`
  return new UsageError(`${reason}: ${help}`, { cause: error })
}

async function main(args: readonly string[]): Promise<void> {
  const parser = yargs(args.map(arg => (arg === '-' ? STDIN : arg)))
  for (const command of commands) parser.command(command as CommandModule)
  await parser
    .scriptName('ptq')
    .usage('$0 <command>\n\nA task queue: on a plain directory, or on Amazon SQS.')
    .completion('completion', 'Print a script that completes ptq commands in bash or zsh')
    .example('$0 status ./queue', 'How far is it?')
    .example('$0 poll ./queue --load ./tasks.js --parallel 4', 'Work on it with four threads')
    .epilogue(
      'A queue is a folder (./queue, /data/queue) or a URL (sqs://name). PTQ_DEBUG=1 shows where an error came from.',
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
    .wrap(Math.min(100, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail((message, error) => {
      throw refusal(args, message, error)
    })
    .parseAsync()
}

endWithReader()
printWarnings()
try {
  await main(process.argv.slice(2))
} catch (error) {
  const exitCode = reportError(error)
  // What was ended by a signal says so, also where it then had something to complain of.
  process.exitCode ??= exitCode
}
// A module of --load may hold timers or sockets: they must not keep a command that is done. First, all that was printed
// goes out.
process.stdout.write('', () => process.exit())
