// The package in other environments than a main thread with plain modules. Each test is a process.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type BuildOptions, build } from 'esbuild'
import { Home, header } from './home.js'

let home: Home

before(() => {
  home = new Home()
})
after(() => home.remove())

describe('local runs and file queues work', () => {
  it('in a worker thread', async () => {
    home.write(
      'worker.js',
      `${header}import { isMainThread, Worker } from 'node:worker_threads'
      if (isMainThread) new Worker(new URL(import.meta.url))
      else {
        ${home.check('worker-queues')}
        console.log('held')
      }`,
    )
    assert.equal(await home.node('worker.js'), 'held\n')
  })

  it('in a context of node:vm, with promises, errors, functions and arrays of its realm', async () => {
    home.write(
      'vm.js',
      `import { readFileSync } from 'node:fs'
      import { createContext, SourceTextModule, SyntheticModule } from 'node:vm'
      const context = createContext({ AbortController, console, process, setImmediate, setTimeout })
      const made = new Map()
      async function link(name) {
        if (made.has(name)) return made.get(name)
        const own = name.startsWith('.')
        const url = new URL(name, import.meta.url)
        const exports = own ? undefined : await import(name)
        const module = own
          ? new SourceTextModule(readFileSync(url, 'utf8'), { context, identifier: url.href })
          : new SyntheticModule(Object.keys(exports), function () {
              for (const [key, value] of Object.entries(exports)) this.setExport(key, value)
            }, { context })
        made.set(name, module)
        return module
      }
      const main = new SourceTextModule(${JSON.stringify(`${header}${home.check('vm-queues')}\nconsole.log('held')`)}, { context })
      await main.link(link)
      await main.evaluate()`,
    )
    assert.equal(await home.node('--experimental-vm-modules', '--no-warnings', 'vm.js'), 'held\n')
  })
})

describe('a bundle by esbuild', () => {
  const bundle = (name: string, main: string, options: BuildOptions) =>
    build({
      absWorkingDir: home.folder,
      entryPoints: [home.write(`${name}-main.js`, main)],
      bundle: true,
      platform: 'node',
      target: 'node20',
      outfile: name,
      logLevel: 'silent',
      ...options,
    })

  for (const format of ['esm', 'cjs'] as const) {
    const name = `external.${format === 'esm' ? 'mjs' : 'cjs'}`
    it(`runs where ptq is external, as ${format}`, async () => {
      // Threads import the bundle for its tasks.
      const main = `${header}import { isMainThread } from 'node:worker_threads'
        async function main() {
          ${home.check(`${name}-queues`)}
          console.log('held')
        }
        if (isMainThread) void main()`
      await bundle(name, main, { format, external: ['ptq'] })
      assert.equal(await home.node(name), 'held\n')
    })
  }

  for (const format of ['esm', 'cjs'] as const) {
    it(`that contains ptq runs tasks in its own thread, and says how to use threads, as ${format}`, async () => {
      const name = `whole.${format === 'esm' ? 'mjs' : 'cjs'}`
      const main = `import { LocalTaskQueue, partial, TaskQueue } from 'ptq'
        import { add } from './tasks.js'
        const run = parallel => new LocalTaskQueue({ parallel, progress: false, onLog() {} }).insertAll([partial(add, 1, 2)])
        async function main() {
          const tq = new TaskQueue(${JSON.stringify(`${home.folder}/${name}-queue`)})
          const inserted = await tq.insert([partial(add, 1, 2)])
          const polled = await tq.poll({ parallel: 1, untilEmpty: true }).catch(error => error.message)
          const left = (await tq.status()).enqueued
          await tq.close()
          const refused = await run(2).catch(error => error.message)
          console.log(JSON.stringify({ inserted, polled, left, refused, ran: await run(0) }))
        }
        void main()`
      await bundle(name, main, {
        format,
        // CommonJS packages in the bundle call `require`, as esbuild's documentation describes.
        ...(format === 'esm' && {
          banner: {
            js: `import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url)`,
          },
        }),
      })
      const { inserted, polled, left, refused, ran } = JSON.parse(await home.node(name))
      assert.deepEqual({ inserted, left, ran }, { inserted: 1, left: 1, ran: 1 })
      assert.match(refused, /it seems that ptq was bundled; keep it out of the bundle .* or run all tasks with/)
      assert.equal(polled, refused)
    })
  }
})
