/** Exits the process without waiting for its threads. */
import { createRequire } from 'node:module'

/** The part of `WebAssembly` used here, which Node's types lack. */
interface WithWebAssembly {
  readonly WebAssembly: {
    readonly Module: new (bytes: Uint8Array) => object
    readonly Instance: new (module: object, imports: object) => object
  }
}

/**
 * Exits, in a listener of the process's `exit` event. `process.exit()` joins every thread, also one that is in a system
 * call which never returns, and so would hang. The call of WASI that exits is the C library's `exit`, which joins none.
 * It is safe only if the remaining threads are in native code: one that runs JavaScript would use what `exit` destroys.
 */
export function exitNow(code: number): void {
  const { WASI } = createRequire(import.meta.url)('node:wasi') as typeof import('node:wasi')
  const wasi = new WASI({ version: 'preview1', returnOnExit: false })
  const { Instance, Module } = (globalThis as unknown as WithWebAssembly).WebAssembly
  const module = new Module(exitingModule(code))
  wasi.start(new Instance(module, { wasi_snapshot_preview1: wasi.wasiImport }))
}

/**
 * ```wat
 * (module
 *   (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
 *   (memory (export "memory") 0)
 *   (func (export "_start") (call 0 (i32.const CODE))))
 * ```
 */
function exitingModule(code: number): Uint8Array<ArrayBuffer> {
  const name = (text: string) => [text.length, ...Buffer.from(text, 'latin1')]
  const section = (id: number, content: readonly number[]) => [id, content.length, ...content]
  // An integer of 0 to 255 in two bytes of signed LEB128.
  const constant = [(code & 0x7f) | 0x80, (code & 0xff) >> 7]
  const body = [0, 0x41, ...constant, 0x10, 0, 0x0b]
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [2, 0x60, 1, 0x7f, 0, 0x60, 0, 0]),
    ...section(2, [1, ...name('wasi_snapshot_preview1'), ...name('proc_exit'), 0, 0]),
    ...section(3, [1, 1]),
    ...section(5, [1, 0, 0]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('_start'), 0, 1]),
    ...section(10, [1, body.length, ...body]),
  ])
}
