// The programs in docs/ that need no server and end by themselves, run unchanged; /data is a folder of the test.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '../..')

const programs: readonly (readonly [page: string, program: string, output: RegExp])[] = [
  ['tasks', 'main.ts', /^task \S+-0, attempt 1: gs:\/\/bucket\/layer \[ 0, 0, 0, 64, 64, 64 \] \{ mip: 2 \}$/m],
  ['tasks', 'local.ts', /attempt 1: a \[ 0 \].*attempt 1: b \[ 1 \]/s],
  ['tasks', 'elsewhere.ts', /^$/],
  ['tasks', 'values.ts', /^$/],
  ['file-queue', 'file-queue.ts', /^$/],
  ['commands', 'commands.ts', /^$/],
  ['python', 'to-python.ts', /^$/],
  ['results', 'sweep.ts', /^rate,seed,loss\n(?:0\.\d+,[123],0\.\d+\n){9}$/],
  ['workers', 'failures.ts', /^0 tasks are tried again\n$/],
]

for (const [page, program, output] of programs) {
  test(`${program} of docs/${page}.md runs unchanged`, async () => {
    // Inside the project, so that `ptq` means the package itself.
    const folder = join(root, 'build/docs-run', `${page}-${program}`)
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    const text = readFileSync(join(root, `docs/${page}.md`), 'utf8')
    for (const [, code = ''] of text.matchAll(/^```ts\n(.*?)^```/gms)) {
      const name = /^\/\/ ([\w-]+\.ts)\n/.exec(code)?.[1]
      if (name !== undefined) writeFileSync(join(folder, name), code.replaceAll('fq:///data', `fq://${folder}/data`))
    }
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--import', 'tsx', program], {
      cwd: folder,
    })
    assert.match(stdout + stderr, output)
    rmSync(folder, { recursive: true })
  })
}
