/** Commands of `ptq`, in a process of their own or in one that is kept for the next command. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The tests run from build/test/cli. */
export const projectRoot = join(import.meta.dirname, '../../..')
export const mainPath = join(projectRoot, 'dist/src/cli/bin.cjs')

export interface CliResult {
  /** `null`: ended by a signal. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly cwd?: string
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
}

/** A command for the process that runs several. */
export interface HostedCommand extends Required<CliOptions> {
  readonly args: readonly string[]
}

function environment(): NodeJS.ProcessEnv {
  const { PTQ_DEBUG: _, UV_THREADPOOL_SIZE: __, ...ours } = process.env
  return { ...ours, AWS_ACCESS_KEY_ID: 'AKIATEST', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' }
}

/** Starts a command as a process; stdin is left open. */
export function startCli(args: readonly string[], { cwd, env }: CliOptions = {}): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [mainPath, ...args], {
    cwd: cwd ?? projectRoot,
    env: { ...environment(), ...env },
  })
}

/** Resolves when the process has ended. */
export function ended(child: ChildProcessWithoutNullStreams): Promise<CliResult> {
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text
    })
  }
  return new Promise(resolve => child.once('close', code => resolve({ code, ...texts })))
}

/** What Node reads once, at the start of a process. */
const readAtStart = /^(?:NODE|UV)_/

let host: ChildProcess | undefined
let previous: Promise<unknown> = Promise.resolve()

/**
 * Runs a command to its end, with `input` as its stdin, in a process that is kept for the next one: nearly all of a short
 * command's time is the start of its process. What is about the process itself has {@link runProcess}, and gets that where the
 * environment has variables that Node reads at its start.
 */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  if (Object.keys(options.env ?? {}).some(name => readAtStart.test(name))) return runProcess(args, options)
  const result = previous.then(() => runHosted({ args, cwd: projectRoot, input: '', env: {}, ...options }))
  previous = result.catch(() => undefined)
  return result
}

async function runHosted(command: HostedCommand): Promise<CliResult> {
  host ??= fork(join(import.meta.dirname, 'command-host.js'), {
    cwd: projectRoot,
    env: environment(),
    // No terminal, wherever the tests run.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  }).once('exit', () => {
    host = undefined
  })
  const child = host
  const ending = new AbortController()
  const crash = once(child, 'exit', { signal: ending.signal }).then(([code, signal]) => {
    throw new Error(`Expected ptq ${command.args.join(' ')} to end, but its process ended: ${code ?? signal}`)
  })
  crash.catch(() => undefined)
  child.ref()
  child.channel?.ref()
  child.send(command)
  try {
    const [result] = await Promise.race([once(child, 'message', { signal: ending.signal }), crash])
    return result
  } finally {
    ending.abort()
    child.unref()
    child.channel?.unref()
  }
}

/** Runs a command to its end, with `input` as its stdin, in a process of its own. */
export function runProcess(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = startCli(args, options)
  // A command that refuses its arguments ends without reading.
  child.stdin.on('error', () => undefined).end(options.input ?? '')
  return ended(child)
}

/** Runs a command on SQS. Each time the SDK warns how long it will support this version of Node: left out. */
export async function runSqs(args: readonly string[], cwd: string, input = ''): Promise<CliResult> {
  const result = await runCli(args, { cwd, input })
  return { ...result, stderr: result.stderr.replace(/^ptq: warning: NodeVersionSupportWarning.*\n/m, '') }
}

/** Resolves when the output matches. @throws Error if the process ends without a match */
export async function outputOf(child: ChildProcessWithoutNullStreams, wanted: string): Promise<void> {
  let text = ''
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    text += String(chunk)
    if (text.includes(wanted)) return
  }
  throw new Error(`Expected ${wanted} in the output, got ${text}`)
}

/** Resolves when `holds`, which only another process can make true. @throws Error after two minutes: even a starved machine is quicker */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 120_000
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`Expected within two minutes: ${holds}`)
    await sleep(5)
  }
}

/** Runs `work` in a new folder, which is removed when the test passes and kept when it fails. */
export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ptq-cli-'))
  await work(folder)
  await rm(folder, { recursive: true })
}

/** Payloads, one a line, of calls of `tasks.mark(n)`. */
export function payloadLines(count: number, name = 'mark'): string {
  return Array.from({ length: count }, (_, n) => `[["tasks","${name}"],[${n}],{},-1]\n`).join('')
}
