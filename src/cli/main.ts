/** `ptq`: queues from the command line. Exit codes: 0, 1 failed, 2 bad use or refused, 128 + n ended by signal n. */
import { readFileSync } from 'node:fs'
import yargs, { type CommandModule, type FallbackCompletionFunction } from 'yargs'
import { cpCommand } from './cp.js'
import { endingError, printWarnings, refusedCode } from './failing.js'
import { failuresCommand } from './failures.js'
import { insertCommand } from './insert.js'
import { licenseCommand } from './license.js'
import { lsCommand } from './ls.js'
import { mvCommand } from './mv.js'
import { isWorkerProcess, tellParent } from './parent-process.js'
import { pollCommand } from './poll.js'
import { endWithReader } from './printing.js'
import { purgeCommand } from './purge.js'
import { markArguments, unmarkArguments } from './raw-arguments.js'
import { refusal } from './refusal.js'
import { releaseCommand } from './release.js'
import { retryCommand } from './retry.js'
import { rezeroCommand } from './rezero.js'
import { showCommand } from './show.js'
import { statusCommand } from './status.js'

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

/** The parser proposes an alias of one letter with two dashes, as `--w`. */
const withoutShortAliases: FallbackCompletionFunction = (_current, _args, propose, done) =>
  propose((error, proposals) => {
    if (error) throw error
    done((proposals ?? []).filter(each => !/^--\w(?::|$)/.test(each)))
  })

async function main(args: readonly string[]): Promise<void> {
  const parser = yargs(markArguments(args)).middleware(unmarkArguments, true)
  for (const command of commands) parser.command(command as CommandModule)
  await parser
    .scriptName('ptq')
    .usage('$0 <command>\n\nA task queue: on a plain directory, or on Amazon SQS.')
    .completion('completion', 'Print a script that completes ptq commands in bash or zsh', withoutShortAliases)
    .example('# How far is it?\n$0 status ./queue', '')
    .example('# Work on it with four threads\n$0 poll ./queue --load ./tasks.js --parallel 4', '')
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
      throw refusal(commands as readonly CommandModule[], args, message, error)
    })
    .parseAsync()
}

endWithReader()
printWarnings()
let refused: readonly string[] | undefined
try {
  await main(process.argv.slice(2))
} catch (error) {
  const { exitCode, lines } = endingError(error)
  // All processes refuse the same: their parent prints it once.
  if (exitCode === refusedCode && isWorkerProcess()) refused = lines
  else for (const line of lines) console.error(line)
  // The exit code of a signal takes precedence.
  process.exitCode ??= exitCode
}
await tellParent({ ptqExitCode: Number(process.exitCode ?? 0), refusal: refused })
// A module of --load may hold timers or sockets, which must not keep a finished command alive. Output is flushed first.
process.stdout.write('', () => process.exit())
