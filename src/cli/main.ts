/** `ptq` as a process. Exit codes: 0, 1 failed, 2 bad use or refused, 128 + n ended by signal n. */

import { flushSpans } from '../tracing/open-telemetry.js'
import { endingError, printWarnings, refusedCode } from './failing.js'
import { isWorkerProcess, tellParent } from './parent-process.js'
import { endWithReader } from './printing.js'
import { runCommandLine } from './subcommands.js'

endWithReader()
printWarnings()
let refused: readonly string[] | undefined
try {
  await runCommandLine(process.argv.slice(2))
} catch (error) {
  const { exitCode, lines } = endingError(error)
  // All worker processes refuse the same command: their parent prints it once.
  if (exitCode === refusedCode && isWorkerProcess()) refused = lines
  else for (const line of lines) console.error(line)
  // The exit code of a signal takes precedence.
  process.exitCode ??= exitCode
}
// Last: its own errors are warnings, and the command has ended.
await flushSpans()
await tellParent({ ptqExitCode: Number(process.exitCode ?? 0), refusal: refused })
// A module of --load may hold timers or sockets, which must not keep a finished command alive. Output is flushed first.
process.stdout.write('', () => process.exit())
