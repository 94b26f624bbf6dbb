/// <reference lib="es2024.sharedmemory" />
// Tasks for the workers of these tests.
import { appendFileSync, existsSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { context, queueable, RegisteredTask, registerTask } from 'ptq'

/** A gate that a test opens for tasks in any thread; passed by `executeArgs`. */
export type Gate = Int32Array<SharedArrayBuffer>

export const noop = queueable(function noop(n: number): number {
  return n
})

/** Its value can't leave its thread. */
export const uncloneable = queueable(function uncloneable(): () => number {
  return () => 1
})

/** Its value writes a line when it is read, as cloning does. */
export const lookedAt = queueable(function lookedAt(ledger: string): object {
  return {
    get field() {
      appendFileSync(ledger, 'looked at\n')
      return 1
    },
  }
})

/** Throws a value that throws when it is read. */
export const unreadable = queueable(function unreadable(): never {
  throw new Proxy(new Error(), {
    get() {
      throw new Error('looked at')
    },
  })
})

/** Leaves a line that names the task and its attempt. */
export const leaveLine = queueable(
  function leaveLine(ledger: string): void {
    const { id, attempt } = context()
    appendFileSync(ledger, `${id} ${attempt} ${process.pid}\n`)
  },
  { minArgs: 1 },
)

export const throwing = queueable(function throwing(message: string): never {
  throw new Error(message)
})

/** Throws at its first attempts. */
export const throwUntil = queueable(function throwUntil(attempt: number): number {
  if (context().attempt < attempt) throw new Error(`attempt ${context().attempt} is too early`)
  return context().attempt
})

export class SlowDown extends Error {}
export class SlowDownALot extends SlowDown {}

export const slowingDown = queueable(function slowingDown(how: 'SlowDown' | 'SlowDownALot' | 'name'): never {
  if (how === 'name') throw Object.assign(new Error('too many requests'), { name: 'TooManyRequests' })
  throw how === 'SlowDown' ? new SlowDown('too fast') : new SlowDownALot('far too fast')
})

/** Records its start, and ends when the gate is opened. */
export const waitAt = queueable(async function waitAt(name: string, ...[gate]: [Gate]): Promise<string> {
  context().log(`began ${name}`)
  await Atomics.waitAsync(gate, 0, 0).value
  return name
})

/** The same, blocking its thread. */
export const blockAt = queueable(function blockAt(name: string, ...[gate]: [Gate]): string {
  context().log(`began ${name}`)
  Atomics.wait(gate, 0, 0)
  return name
})

/** Ends when its signal aborts, and records the reason. */
export const waitForAbort = queueable(async function waitForAbort(): Promise<void> {
  const own = context()
  const { signal } = own
  own.log('began')
  await new Promise<void>(resolve => {
    const stayAlive = setInterval(() => signal.aborted, 1_000)
    signal.addEventListener('abort', () => {
      clearInterval(stayAlive)
      own.log(`aborted: ${signal.reason}`)
      resolve()
    })
  })
})

/** Never returns, and ignores its signal. */
export const spinForever = queueable(function spinForever(): void {
  for (;;);
})

export const exitThread = queueable(function exitThread(): never {
  process.exit(3)
})

/** Kills its whole process, as the kernel does with one that takes too much memory. */
export const killProcess = queueable(function killProcess(): never {
  process.kill(process.pid, 'SIGKILL')
  for (;;);
})

/** Fails once; after that it kills its whole process. `mark`: a file that the first attempt makes. */
export const failThenKill = queueable(function failThenKill(mark: string): never {
  if (existsSync(mark)) {
    process.kill(process.pid, 'SIGKILL')
    for (;;);
  }
  writeFileSync(mark, '')
  throw new RangeError('no space left')
})

/** Ends its whole process as a fault of native code does. */
export const abortProcess = queueable(function abortProcess(): never {
  // process.abort() itself works in the main thread only.
  process.kill(process.pid, 'SIGABRT')
  for (;;);
})

export const swell = queueable(function swell(): number {
  const held: number[][] = []
  for (;;) held.push(Array.from({ length: 10_000 }, (_, n) => n + held.length))
})

export const addExtra = queueable(function addExtra(a: number, ...[b, c]: [number, { readonly n: number }]): number {
  return a + b + c.n
})

/** Renews its own lease, and records the outcome. */
export const renewItself = queueable(async function renewItself(seconds: number): Promise<string> {
  try {
    await context().renew(seconds)
    return 'renewed'
  } catch (error) {
    return String(error)
  }
})

/** Reports its progress, then waits. */
export const telling = queueable(async function telling(...[gate]: [Gate]): Promise<void> {
  context().progress(0.5, 'half way')
  await Atomics.waitAsync(gate, 0, 0).value
})

export class Greeting extends RegisteredTask<{ name: string }> {
  execute(): string {
    return `Hello, ${this.args.name}`
  }
}
registerTask(Greeting)

/** Runs until a file is there. */
export const waitForFile = queueable(async function waitForFile(ledger: string, file: string): Promise<void> {
  appendFileSync(ledger, `${context().id} ${context().attempt} ${process.pid}\n`)
  while (!existsSync(file)) await sleep(5)
})
