// For `--import`: the process sends itself a signal just before the n-th of its renames in `queue/`, PTQ_TEST_AT_RENAME="n signal".
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const [at, signal] = (process.env.PTQ_TEST_AT_RENAME ?? '').split(' ')
let renames = 0

// Of both kinds: which of them the queue makes depends on how fast the machine is.
for (const [holder, name] of [
  [fs, 'renameSync'],
  [fs.promises, 'rename'],
] as const) {
  const right: unknown = Reflect.get(holder, name)
  if (typeof right !== 'function') throw new Error(`Expected node:fs to have ${name}`)
  Reflect.set(holder, name, (...args: unknown[]) => {
    if (String(args[0]).includes('/queue/') && ++renames === Number(at)) process.kill(process.pid, signal)
    return Reflect.apply(right, holder, args)
  })
}
syncBuiltinESMExports()
