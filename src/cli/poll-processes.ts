/** Runs `ptq poll --processes`: worker processes, each restarted after a crash. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { endingSignals, onStopSignals } from '../runtime/stop-signals.js'
import { duration } from '../terminal/duration.js'
import { sleep } from '../time/sleep.js'
import { type PassedSignal, processNumberVariable, type WorkerEnd } from './parent-process.js'
import { onOutputFailure, onReaderGone, printable } from './printing.js'

/** The pause before another process starts, doubled with each crash of one that ran for less than `steadyMs`. Milliseconds. */
const minPauseMs = 1_000
const maxPauseMs = 60_000
const steadyMs = 60_000

const workerFile = fileURLToPath(new URL('./worker-process.js', import.meta.url))

interface ProcessEnd {
  readonly pid: number | undefined
  /** Its last message; `undefined`: it crashed. */
  readonly end: WorkerEnd | undefined
  /** e.g. `was killed by SIGKILL` */
  readonly how: string
}

/** Runs `count` processes until each has ended normally, or a signal ends all; sets the exit code. */
export async function pollInProcesses(count: number): Promise<void> {
  const workers = new WorkerProcesses()
  onReaderGone(() => workers.stop('SIGTERM'))
  onOutputFailure(error => console.error(`ptq: warning: the output can't be written (${error.message}): working on`))
  await workers.run(count)
}

class WorkerProcesses {
  readonly #children = new Set<ChildProcess>()
  readonly #stopped = new AbortController()
  #done: Promise<unknown> = Promise.resolve()
  #signal: NodeJS.Signals = 'SIGTERM'
  #isExiting = false
  #isRefused = false

  async run(count: number): Promise<void> {
    const signals = onStopSignals({
      signals: endingSignals,
      stop: signal => {
        this.#print(`${signal}: the processes finish what runs, again to leave at once`)
        this.stop(signal)
      },
      leave: () => this.#exitNow(),
    })
    try {
      this.#done = Promise.all(Array.from({ length: count }, (_, number) => this.#keepRunning(number)))
      await this.#done
    } finally {
      signals.dispose()
    }
    // The process is about to exit, with the code of the signal.
    if (this.#isExiting) await new Promise(() => undefined)
  }

  /** Starts no more processes, and passes `signal` to those that run. */
  stop(signal: NodeJS.Signals): void {
    this.#signal = signal
    this.#stopped.abort()
    this.#passOn({ signal, isSecond: false })
  }

  async #exitNow(): Promise<void> {
    this.#isExiting = true
    this.#print('Leaving at once, what runs is released')
    this.#stopped.abort()
    this.#passOn({ signal: this.#signal, isSecond: true })
    await this.#done
  }

  #passOn(signal: PassedSignal): void {
    // A process that has just ended can't be reached, and need not be.
    for (const child of this.#children) child.send(signal, () => undefined)
  }

  /** Restarts one process until it ends normally. */
  async #keepRunning(number: number): Promise<void> {
    const { signal } = this.#stopped
    let pauseMs = minPauseMs
    while (!signal.aborted) {
      const startedAtMs = performance.now()
      const { pid, end, how } = await this.#runOne(number)
      // A process that was signalled alone, e.g. by an out-of-memory daemon, is restarted too.
      if (end !== undefined && end.ptqExitCode < 128) {
        this.#ended(end)
        return
      }
      if (signal.aborted) return
      if (performance.now() - startedAtMs >= steadyMs) pauseMs = minPauseMs
      this.#print(`Process ${pid ?? '?'} ${how}: another one starts in ${duration(pauseMs / 1000)}`)
      await sleep(pauseMs, signal)
      pauseMs = Math.min(2 * pauseMs, maxPauseMs)
    }
  }

  #ended({ ptqExitCode, refusal }: WorkerEnd): void {
    if (ptqExitCode !== 0) process.exitCode ??= ptqExitCode
    if (refusal === undefined || this.#isRefused) return
    this.#isRefused = true
    for (const line of refusal) console.error(line)
    this.stop('SIGTERM')
  }

  #runOne(number: number): Promise<ProcessEnd> {
    const child = fork(workerFile, process.argv.slice(2), {
      env: { ...process.env, [processNumberVariable]: String(number) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#children.add(child)
    let end: WorkerEnd | undefined
    child.on('message', (message: unknown) => {
      // Tasks may send messages too.
      if (isWorkerEnd(message)) end = message
    })
    return new Promise(resolve => {
      const finish = (how: string) => {
        this.#children.delete(child)
        resolve({ pid: child.pid, end, how })
      }
      child.once('error', error => finish(`could not be started (${error.message})`))
      child.once('close', (code, name) =>
        finish(name === null ? `crashed with exit code ${code}` : `was killed by ${name}`),
      )
    })
  }

  #print(text: string): void {
    process.stdout.write(`${new Date().toISOString()} ${printable(text)}\n`)
  }
}

function isWorkerEnd(message: unknown): message is WorkerEnd {
  return typeof message === 'object' && message !== null && 'ptqExitCode' in message
}
