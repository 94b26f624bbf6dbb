// A process that runs commands of `ptq` one after the other, for `runCli`: all but what main.ts does for a process of its own.
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { endingError, printWarnings } from '#ptq/cli/failing.js'
import { runCommandLine } from '#ptq/cli/subcommands.js'
import { type HostedCommand, mainPath } from './run-cli.js'

const texts = { stdout: '', stderr: '' }

for (const name of ['stdout', 'stderr'] as const) {
  process[name].write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    texts[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
    const done = rest.at(-1)
    if (typeof done === 'function') done()
    return true
  }
}

printWarnings()
const env = { ...process.env }
const home = process.cwd()

async function run({ args, cwd, input, env: added }: HostedCommand): Promise<void> {
  process.chdir(cwd)
  Object.assign(process.env, added)
  // Errors quote the arguments of the process.
  process.argv.splice(1, Number.POSITIVE_INFINITY, mainPath, ...args)
  Object.defineProperty(process, 'stdin', { value: Readable.from([Buffer.from(input)]), configurable: true })
  try {
    await runCommandLine(args)
  } catch (error) {
    const { exitCode, lines } = endingError(error)
    for (const line of lines) console.error(line)
    process.exitCode ??= exitCode
  }
  // Warnings come a turn later.
  await nextTurn()
  const result = { code: Number(process.exitCode ?? 0), ...texts }
  process.exitCode = undefined
  Object.assign(texts, { stdout: '', stderr: '' })
  process.chdir(home)
  for (const name of Object.keys(added)) delete process.env[name]
  Object.assign(process.env, env)
  process.send?.(result)
}

process.on('message', (command: HostedCommand) => void run(command))
// Modules of --load may hold timers.
process.on('disconnect', () => process.exit())
