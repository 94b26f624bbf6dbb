/** Starts, counts, hits by signals and ends the processes of the torture. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from './commands.js'
import { note, PROCESS_VARIABLE, type Signal } from './ledger.js'
import type { ProcessOptions, Queues, Role } from './process-options.js'
import { keysIn } from './tasks.js'

/** Time-out for a process that was asked to stop: tasks take seconds at most. Milliseconds. */
const STOP_TIMEOUT_MS = 90_000

/** One that fails at each start must not fill the report, nor hide failures of others. */
const MOST_VIOLATIONS_OF_ONE = 5

const PTQ = join(dirname(createRequire(import.meta.url).resolve('ptq/package.json')), 'dist/src/cli/main.js')

/** The environment of a process whose wall clock jumps. */
const STEPPING = {
  NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${new URL('clock-steps.js', import.meta.url)}`,
}

/** A Python that can import `taskqueue`; without it a stand-in takes the role of the Python processes. */
const PYTHON = process.env.PTQ_PYTHON
const PYTHON_SCRIPT = fileURLToPath(new URL('../../../test/torture/process.py', import.meta.url))

/** Options that all processes have in common. */
type Base = Omit<ProcessOptions, 'role' | 'processNumber' | 'untilEmpty' | 'queues'>

interface TortureProcess {
  readonly name: string
  readonly number: number
  readonly child: ChildProcess
  readonly ended: Promise<void>
  /** It handles SIGTERM; a process that is still loading is ended by it, like every program. */
  isReady: boolean
  readonly saysWhenReady: boolean
  isStopped: boolean
  wasAsked: boolean
  wasKilled: boolean
}

export class Processes {
  /** Sentences about processes that ended as they should not. */
  readonly violations: string[] = []
  readonly #base: Base
  readonly #views: readonly [Queues, ...Queues[]]
  readonly #log: number
  readonly #env: NodeJS.ProcessEnv
  readonly #wasDepotAway: (sinceMs: number) => boolean
  readonly #running = new Set<TortureProcess>()
  readonly #violationsOf = new Map<string, number>()
  #started = 0

  /**
   * @param views the queues as they are reached through each mount: processes are started on each in turn
   * @param log a file for what the processes print
   * @param env more environment variables for them
   * @param wasDepotAway whether the folder of the depot was away at any time since then
   */
  constructor(
    base: Base,
    views: readonly [Queues, ...Queues[]],
    log: string,
    env: NodeJS.ProcessEnv,
    wasDepotAway: (sinceMs: number) => boolean,
  ) {
    this.#wasDepotAway = wasDepotAway
    this.#env = env
    this.#base = base
    this.#views = views
    this.#log = openSync(log, 'a')
  }

  /** The number of processes started. */
  get started(): number {
    return this.#started
  }

  start(role: Role, { untilEmpty = false } = {}): TortureProcess {
    const processNumber = this.#started + 1
    const processOptions: ProcessOptions = { ...this.#base, queues: this.#view(), role, processNumber, untilEmpty }
    const script = join(import.meta.dirname, 'process.js')
    const isPython = role === 'python-inserter' || role === 'python-worker'
    return this.#launch(
      role,
      isPython && PYTHON !== undefined ? PYTHON_SCRIPT : script,
      [JSON.stringify(processOptions)],
      (code, { wasAsked }, stderr) => {
        // A Python worker ends with the error of its task.
        if (isPython) return code === 1 && /^RangeError: task p-\S+ fails$/m.test(stderr)
        return code === 0 && (wasAsked || untilEmpty)
      },
      { runsPoison: role.endsWith('worker'), isPython },
    )
  }

  /** Lets a role do what is left for it; it is asked to stop if that does not end. */
  async finish(role: Role): Promise<void> {
    const proc = this.start(role, { untilEmpty: true })
    const late = setTimeout(() => {
      this.#violate(role, `a ${role} did not come to its end within ${STOP_TIMEOUT_MS / 1000} s`)
      this.#ask(proc)
    }, STOP_TIMEOUT_MS)
    await proc.ended
    clearTimeout(late)
  }

  /** Runs a `ptq` command, which ends by itself. */
  run(commandOn: (queues: Queues) => Command): TortureProcess {
    const { name, args, mayFail, mayMiss, source } = commandOn(this.#view())
    const startMs = performance.now()
    const isExcused = (stderr: string) =>
      mayFail?.test(stderr) === true || (this.#wasDepotAway(startMs) && mayMiss?.test(stderr) === true)
    const proc = this.#launch(name, PTQ, args, (code, { wasAsked }, stderr) => {
      // After SIGTERM: 143, or the exit code of work that was already complete.
      return code === 0 || (code === 143 && wasAsked) || (code === 1 && isExcused(stderr))
    })
    if (name === 'ptq-release') {
      note(this.#base.ledger, 'releasing', [name], proc.number)
      proc.child.once('close', () => note(this.#base.ledger, 'released', [name], proc.number))
    }
    if (source !== undefined) {
      note(this.#base.ledger, 'fromFiles', [name], proc.number)
      proc.child.once('close', () => {
        const keys = keysInFolder(join(source, 'queue'))
        if (keys.length > 0) note(this.#base.ledger, 'stayed', keys, proc.number)
      })
    }
    return proc
  }

  /** Starts processes until each role has its number; one that was asked to stop still counts. */
  fill(wanted: Readonly<Partial<Record<Role, number>>>): void {
    for (const [role, count = 0] of Object.entries(wanted) as [Role, number][]) {
      for (let missing = count - this.running(role); missing > 0; missing--) this.start(role)
    }
  }

  /** The number of processes whose role name begins with `name`. */
  running(name: string): number {
    return [...this.#running].filter(proc => proc.name.startsWith(name)).length
  }

  /**
   * Sends a signal to one process, chosen with `random` (from 0 to 1). `SIGCONT` follows a stop after `resumeAfterMs`.
   * False if there is no process.
   */
  hit(signal: Signal, random: number, resumeAfterMs: number): boolean {
    const running = [...this.#running].filter(
      ({ number, isReady, wasAsked, isStopped, saysWhenReady }) =>
        // On a busy machine a process takes longer to start than others to be hit: of those that start, one in five is.
        !wasAsked && !isStopped && (isReady || !saysWhenReady || number % 5 === 0),
    )
    const proc = running[Math.floor(random * running.length)]
    if (proc === undefined) return false
    note(this.#base.ledger, signal, [proc.name], proc.number)
    if (signal === 'SIGKILL') proc.wasKilled = true
    if (signal === 'SIGTERM') this.#ask(proc)
    else proc.child.kill(signal)
    if (signal !== 'SIGSTOP') return true
    proc.isStopped = true
    const resume = setTimeout(() => this.#resume(proc), resumeAfterMs)
    void proc.ended.then(() => clearTimeout(resume))
    return true
  }

  /** Asks all to stop and waits for their end. */
  async askAll(): Promise<void> {
    for (const proc of this.#running) {
      this.#resume(proc)
      if (!proc.wasAsked) this.#ask(proc)
    }
    await Promise.all([...this.#running].map(({ ended }) => ended))
  }

  /** Ends all at once; for the way out after an error. */
  async killAll(): Promise<void> {
    const running = [...this.#running]
    for (const proc of running) {
      proc.wasKilled = true
      proc.child.kill('SIGKILL')
    }
    await Promise.all(running.map(({ ended }) => ended))
    closeSync(this.#log)
  }

  #view(): Queues {
    return this.#views[this.#started % this.#views.length] ?? this.#views[0]
  }

  #launch(
    name: string,
    script: string,
    args: readonly string[],
    endedWell: (code: number | null, proc: TortureProcess, stderr: string) => boolean,
    { runsPoison = false, isPython = false } = {},
  ): TortureProcess {
    const number = ++this.#started
    // A group of its own: Ctrl-C is handled by the torture, which then asks all processes to stop.
    const child = fork(script, args, {
      stdio: ['ignore', this.#log, 'pipe', 'ipc'],
      detached: true,
      ...(script === PYTHON_SCRIPT && PYTHON !== undefined && { execPath: PYTHON, execArgv: [] }),
      env: {
        ...process.env,
        ...this.#env,
        [PROCESS_VARIABLE]: String(number),
        ...accessOf(number),
        ...(number % 3 === 0 && !isPython && STEPPING),
      },
    })
    let stderr = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      writeSync(this.#log, text)
      stderr = (stderr + text).slice(-2_000)
    })
    const ended = once(child, 'close').then(([code, signal]) => {
      this.#running.delete(proc)
      // The ledger names the task by which it died.
      if (runsPoison && signal === 'SIGKILL') return
      // Python has no handler of SIGTERM.
      if (isPython && signal === 'SIGTERM' && proc.wasAsked) return
      if (proc.wasKilled || (signal === 'SIGTERM' && proc.wasAsked && !proc.isReady)) return
      if (!endedWell(code, proc, stderr))
        this.#violate(name, `a ${name} ended with ${code ?? signal}: ${lastLine(stderr)}`)
    })
    const proc: TortureProcess = {
      name,
      number,
      child,
      ended,
      isReady: false,
      saysWhenReady: script !== PTQ && !isPython,
      isStopped: false,
      wasAsked: false,
      wasKilled: false,
    }
    child.once('message', () => {
      proc.isReady = true
    })
    this.#running.add(proc)
    return proc
  }

  #violate(name: string, sentence: string): void {
    const count = (this.#violationsOf.get(name) ?? 0) + 1
    this.#violationsOf.set(name, count)
    if (count <= MOST_VIOLATIONS_OF_ONE) this.violations.push(sentence)
  }

  #ask(proc: TortureProcess): void {
    proc.wasAsked = true
    proc.child.kill('SIGTERM')
    const late = setTimeout(() => {
      this.#violate(proc.name, `a ${proc.name} was asked to stop and did not within ${STOP_TIMEOUT_MS / 1000} s`)
      proc.wasKilled = true
      proc.child.kill('SIGKILL')
    }, STOP_TIMEOUT_MS)
    void proc.ended.then(() => clearTimeout(late))
  }

  #resume(proc: TortureProcess): void {
    proc.isStopped = false
    proc.child.kill('SIGCONT')
  }
}

/** Identifies a `ptq` command or a worker to the SQS server: only these have their access key from the environment. */
function accessOf(processNumber: number): NodeJS.ProcessEnv {
  return { AWS_ACCESS_KEY_ID: `process-${processNumber}` }
}

/** The keys of the tasks in a folder that other processes change. */
function keysInFolder(folder: string): string[] {
  return readdirSync(folder).flatMap(name => {
    try {
      return keysIn(readFileSync(join(folder, name), 'utf8'))
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
      throw error
    }
  })
}

/** The line of the error, or the last one: below an uncaught error Node writes its version. */
function lastLine(text: string): string {
  const lines = text.trimEnd().split('\n')
  return lines.findLast(line => /^\w*Error\b/.test(line)) ?? (lines.at(-1) || 'it said nothing')
}
