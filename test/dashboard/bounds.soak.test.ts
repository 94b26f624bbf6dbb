// The page on a queue with a million tasks and a hundred thousand dead letters, in a real browser.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { linkSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { range, TaskQueue } from 'ptq'
import { messageWriter } from '#ptq/backend/envelope.js'
import { parseQueueUrl } from '#ptq/backend/queue-url.js'
import { opener } from '#ptq/backends/fq/index.js'
import { ended, outputOf, startCli } from '../cli/run-cli.js'
import { noBrowser, startBrowser } from './browser.js'
import { inFolder } from './served.js'
import { quick } from './tasks.js'

const tasks = 1_000_000
const letters = 100_000
const maxServerMb = 150
const maxScriptMs = 100

/** Stores tasks: some, and links to their files under other ids, which takes a tenth of the time. */
async function storeTasks(url: string, files: string): Promise<void> {
  // Filesystems allow some ten thousand links of a file.
  const linksOfEach = 20_000
  await using queue = new TaskQueue(url, { progress: false })
  await queue.insert(range(quick, 0, tasks / linksOfEach))
  for (const name of readdirSync(files)) {
    const [time] = name.split('--')
    for (let n = 1; n < linksOfEach; n++) linkSync(join(files, name), join(files, `${time}--${randomUUID()}.json`))
  }
}

/** Stores dead letters of some hundred groups. */
async function storeLetters(queue: string): Promise<void> {
  const dead = await opener.open(parseQueueUrl(`${queue}/failed`, { cwd: '/', home: '/' }), {})
  const write = messageWriter(dead.queueName)
  for (let first = 0; first < letters; first += 1_000) {
    const batch = Array.from({ length: 1_000 }, (_, index) => {
      const n = first + index
      const id = randomUUID()
      const group = String.fromCharCode(97 + (n % 20), 97 + (Math.floor(n / 20) % 20))
      const failure = { attempt: 5, host: 'node-1', pid: 7, failedAtMs: 1_700_000_000_000 + n, durationSeconds: 1.25 }
      const reason = `Error: ${group}: tile ${n} can't be read`
      const failures = [{ ...failure, reason, stack: `${reason}\n    at read (tiles.js:${n}:3)`.repeat(3) }]
      return { id, body: write(`[["tiles", "quick"], [${n}], {}, -1]`, id, { failures }) }
    })
    assert.deepEqual(await dead.insert(batch, { delaySeconds: 0 }), [])
  }
  await dead.close()
}

/** The most memory that a process has had. MB. */
function peakMb(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

it(
  `a million tasks and ${letters} dead letters: under ${maxScriptMs} ms of script, under ${maxServerMb} MB`,
  { skip: noBrowser ?? (process.platform === 'linux' ? false : 'memory is read from /proc') },
  () =>
    inFolder(async folder => {
      const url = `fq://${folder}/queue`
      await storeTasks(url, join(folder, 'queue/queue'))
      await storeLetters(url)
      const server = startCli(['serve', url, '--port', '0'], { cwd: folder })
      const end = ended(server)
      let printed = ''
      server.stdout.on('data', text => {
        printed += text
      })
      await outputOf(server, 'Ctrl-C ends the page')
      const link = /^Open (\S+)$/m.exec(printed)?.[1] ?? assert.fail(printed)
      const browser = await startBrowser()
      const page = await browser.newPage()
      page.setDefaultTimeout(300_000)
      const cdp = await page.context().newCDPSession(page)
      await cdp.send('Performance.enable')
      const scriptMs = async () => {
        const { metrics } = await cdp.send('Performance.getMetrics')
        return (metrics.find(({ name }) => name === 'ScriptDuration')?.value ?? Number.NaN) * 1000
      }
      await page.goto(link)
      await page.locator('dd.waiting', { hasText: /^1,000,000$/ }).waitFor()
      await page.locator('dd.failed', { hasText: /^100,000$/ }).waitFor()
      // What the page takes to start has nothing to do with the queue.
      const startMs = await scriptMs()
      await page.getByRole('button', { name: /Group by reason|Read again/ }).click()
      await page.locator('.group').first().waitFor()
      await page.getByRole('button', { name: 'List' }).click()
      await page.locator('td.payload').first().waitFor()
      const shownMs = (await scriptMs()) - startMs
      const serverMb = peakMb(server.pid ?? assert.fail())
      console.log(`${startMs.toFixed(0)} + ${shownMs.toFixed(0)} ms of script, ${serverMb.toFixed(0)} MB at most`)
      await browser.close()
      server.kill('SIGINT')
      await end
      assert.ok(shownMs < maxScriptMs, `${shownMs} ms of script`)
      assert.ok(serverMb < maxServerMb, `${serverMb} MB`)
    }),
)
