/** The compiler's messages and their places, which are part of the interface. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'

/** The tests run from build/test/types; the file exists in memory only. */
const root = join(import.meta.dirname, '../../..')
const file = join(root, 'test/types/in-memory.ts')

const header = `import { LocalTaskQueue, partial, RegisteredTask, TaskQueue } from 'ptq'
declare const tq: TaskQueue
declare const lq: LocalTaskQueue
declare function add(a: number, b: number): number
declare function optional(a: number, b?: string): number
declare function when(path: string, date: Date): void
declare function bytes(data: Uint8Array): void
declare function nested(options: { tiles: { map: Map<string, number> }[] }): void
declare function label(id: bigint): void
class Box { constructor(readonly side: number) {} area() { return this.side ** 2 } }
declare function measure(box: Box): number
class At extends RegisteredTask<{ at: Date }> { execute() {} }
`

let text = header
let version = 0
const registry = ts.createDocumentRegistry()
const options: ts.CompilerOptions = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  target: ts.ScriptTarget.ES2023,
  lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
  module: ts.ModuleKind.NodeNext,
  types: ['node'],
}
const host: ts.LanguageServiceHost = {
  getCompilationSettings: () => options,
  getScriptFileNames: () => [file],
  getScriptVersion: name => (name === file ? String(version) : '0'),
  getScriptSnapshot: name => ts.ScriptSnapshot.fromString(name === file ? text : readFileSync(name, 'utf8')),
  getCurrentDirectory: () => root,
  getDefaultLibFileName: settings => ts.getDefaultLibFilePath(settings),
  fileExists: name => name === file || ts.sys.fileExists(name),
  readFile: name => (name === file ? text : ts.sys.readFile(name)),
  directoryExists: ts.sys.directoryExists,
  getDirectories: ts.sys.getDirectories,
}
const service = ts.createLanguageService(host, registry)

/** The code of each error, and its message. */
function errorsIn(code: string): [at: string, message: string][] {
  text = header + code
  version++
  return service
    .getSemanticDiagnostics(file)
    .map(({ start = 0, length = 0, messageText }) => [
      text.slice(start, start + length),
      ts.flattenDiagnosticMessageText(messageText, '\n'),
    ])
}

const refusals: readonly [code: string, at: string, message: RegExp][] = [
  ["partial(add, 'a', 2)", "'a'", /Argument of type 'string' is not assignable to parameter of type 'number'/],
  ["partial(add, 1, 'b')", "'b'", /Argument of type 'string' is not assignable to parameter of type 'number'/],
  ["partial(partial(add, 1), 'b')", "'b'", /Argument of type 'string' is not assignable to parameter of type 'number'/],
  ['partial(add, 1, 2, 3)', '3', /Expected 1-3 arguments, but got 4/],
  ['tq.insert(partial(add, 1))', 'partial(add, 1)', /b: number/],
  ['tq.insert(partial(add, undefined, 2))', 'partial(add, undefined, 2)', /undefined is no argument/],
  ["partial(when, 'a', new Date())", 'new Date()', /a Date arrives as its ISO text: pass the text, or milliseconds/],
  ['partial(bytes, new Uint8Array(2))', 'new Uint8Array(2)', /a typed array arrives as a list of numbers/],
  ['partial(nested, { tiles: [{ map: new Map() }] })', 'map', /JSON has no Map: pass an object, or its entries/],
  ['partial(label, 5n)', '5n', /a small integer arrives as a number: declare number \| bigint/],
  ['partial(measure, new Box(1))', 'new Box(1)', /an object with methods arrives without them: pass its data/],
  [
    "new TaskQueue('./q', { durabel: true })",
    'durabel',
    /'durabel' does not exist in type .*Did you mean to write 'durable'\?/s,
  ],
  ["new TaskQueue('fq:///q', { region: 'eu-west-1' })", 'region', /'region' does not exist in type/],
  ["new TaskQueue('sqs://q', { region: 5 })", 'region', /Type 'number' is not assignable to type 'string'/],
  ["new TaskQueue('mem://q', { durable: true })", 'durable', /'durable' does not exist in type/],
  ['new At({ at: new Date() })', 'at', /a Date arrives as its ISO text/],
]

for (const [code, at, message] of refusals) {
  test(`the compiler refuses ${code} at ${at}`, () => {
    const [error, ...others] = errorsIn(code)
    assert.equal(error?.[0], at)
    assert.match(error?.[1] ?? '', message)
    assert.deepEqual(others, [])
  })
}

for (const code of [
  "new TaskQueue('sqs://q', { region: 'eu-west-1', credentials: undefined, concurrency: 8 })",
  "new TaskQueue('redis://q', { shards: 3 })",
  "new TaskQueue(process.argv[2] ?? './q', { durable: true })",
  'class Own extends TaskQueue {}; const own: TaskQueue = new Own("./q"); own instanceof TaskQueue',
  'tq.insert(partial(add, 1, 2))',
  'tq.insert(partial(optional, 1))',
  "tq.insert(partial(optional, 1, 'b'))",
  'lq.insertAll([[partial(add, 1), [2]]])',
  'partial((id: number | bigint) => id, 5n)',
  'partial((value: unknown, ...rest: string[]) => value, new Date())',
  'interface Node { children?: readonly Node[]; data: unknown }; partial((node: Node) => node, { data: 1 })',
  "partial((kind: 'a' | 'b', record: Record<string, number | null>) => kind, 'a')",
  'partial(<T>(list: T[]) => list, [1])',
]) {
  test(`the compiler accepts ${code}`, () => assert.deepEqual(errorsIn(code), []))
}

for (const [code, shown] of [
  ['partial(add, ', 'partial(fn: (a: number, b: number) => number, a: number, b: number): FunctionTask<[], number>'],
  [
    'partial(optional, 1, ',
    'partial(fn: (a: number, b?: string) => number, a: number, b: string): FunctionTask<[], number>',
  ],
] as const) {
  test(`signature help after ${code} names the parameters`, () => {
    text = header + code
    version++
    const help = service.getSignatureHelpItems(file, text.length, undefined)
    const item = help?.items[help.selectedItemIndex]
    const parts = (name: 'prefixDisplayParts' | 'suffixDisplayParts') => ts.displayPartsToString(item?.[name])
    const parameters = item?.parameters.map(({ displayParts }) => ts.displayPartsToString(displayParts)).join(', ')
    assert.equal(`${parts('prefixDisplayParts')}${parameters}${parts('suffixDisplayParts')}`, shown)
  })
}
