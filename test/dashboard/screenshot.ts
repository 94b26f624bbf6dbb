/** `npm run screenshot`: draws docs/dashboard.png; with a folder as argument, every form of the page into it. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { partial, TaskQueue } from 'ptq'
import { noBrowser, startBrowser } from './browser.js'
import { Served, startWorker, stopWorker } from './served.js'
import { render } from './tasks.js'

/** The chart shows that much time. */
const workingMs = Number(process.env.PTQ_SCREENSHOT_SECONDS ?? 75) * 1000

const forms = [
  { name: 'wide-light', colorScheme: 'light', width: 1180, height: 900 },
  { name: 'wide-dark', colorScheme: 'dark', width: 1180, height: 900 },
  { name: 'phone-light', colorScheme: 'light', width: 390, height: 844 },
  { name: 'phone-dark', colorScheme: 'dark', width: 390, height: 844 },
] as const

async function main(folder: string | undefined): Promise<void> {
  if (noBrowser !== undefined) throw new Error(noBrowser)
  const place = await mkdtemp(join(tmpdir(), 'ptq-screenshot-'))
  const tq = new TaskQueue(`fq://${place}/tiles`, { progress: false })
  await tq.insert(
    (function* () {
      for (let tile = 0; tile < 2_000; tile++) yield partial(render, '/data/volume', tile)
    })(),
  )
  const served = await Served.start(tq, { actions: true, intervalSeconds: 1 })
  const workers = ['3', '3', '2'].map(threads =>
    startWorker(tq, '--parallel', threads, '--tally', '--max-attempts', '1', '--lease-sec', '60'),
  )
  const browser = await startBrowser()
  try {
    const context = await browser.newContext({ viewport: { width: 1180, height: 1000 } })
    const page = await context.newPage()
    await page.goto(served.url + served.page.newLink())
    await page.waitForSelector('dl')
    await sleep(workingMs)
    const [, , killed] = workers
    if (killed !== undefined) await stopWorker(killed)
    await page.locator('.worker.silent').waitFor({ timeout: 60_000 })
    await page.getByRole('button', { name: /Group by reason|Read again/ }).click()
    await page.waitForSelector('.group')
    if (folder === undefined) {
      await page.evaluate('scrollTo(0, 0)')
      await page.screenshot({ path: 'docs/dashboard.png' })
    } else {
      await page.locator('summary').first().click()
      await page.waitForSelector('.task')
      await mkdir(folder, { recursive: true })
      for (const { name, colorScheme, ...viewport } of forms) {
        await page.setViewportSize(viewport)
        await page.emulateMedia({ colorScheme })
        // A reading and the redraw of the charts, which the page doesn't tell.
        await sleep(1_500)
        await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
      }
    }
  } finally {
    await browser.close()
    await served[Symbol.asyncDispose]()
    await Promise.all(workers.map(stopWorker))
    await tq.close()
    await rm(place, { recursive: true })
  }
}

await main(process.argv[2])
