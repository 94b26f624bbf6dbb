import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { queueable } from 'ptq'

export const square = queueable(function square(n: number): number {
  return n * n
})

/** Values of all kinds, and failures: by the rest of `n`. */
export const mixed = queueable(function mixed(n: number): unknown {
  if (n % 5 === 1) throw new Error(`no ${n}`)
  if (n % 5 === 2) return undefined
  if (n % 5 === 3) return { big: 2n ** 64n + BigInt(n), text: 'é\n', list: [1.5, null] }
  return n
})

export const large = queueable(function large(bytes: number): string {
  return 'x'.repeat(bytes)
})

export const unspeakable = queueable(function unspeakable(_: number): unknown {
  return { set: new Set([1]) }
})

/** Makes the file `<path>.begun`, and ends when there is one at `path`. */
export const untilThere = queueable(async function untilThere(path: string): Promise<string> {
  writeFileSync(`${path}.begun`, '')
  while (!existsSync(path)) await sleep(5)
  return path
})

export const slowly = queueable(async function slowly(ms: number): Promise<number> {
  await sleep(ms)
  return ms
})
