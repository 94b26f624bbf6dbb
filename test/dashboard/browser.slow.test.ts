// The page in a real browser, while workers run. Skipped with the reason where none is installed.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { partial, TaskQueue } from 'ptq'
import { noBrowser, startBrowser } from './browser.js'
import { inFolder, Served, startWorker, stopWorker } from './served.js'
import { fail, linger, quick } from './tasks.js'

const hostile =
  '<script>document.title="taken"</script><img src=x onerror=document.title="taken">\u001b[2J\u202etxt.exe'

describe('the page in a browser', { skip: noBrowser }, () => {
  let browser: Browser

  before(async () => {
    browser = await startBrowser()
  })
  after(() => browser.close())

  /** Opens the page by a link; fails on an error or a violation of the policy. */
  async function withPage(served: Served, work: (page: Page) => Promise<void>): Promise<void> {
    const page = await browser.newPage()
    const errors: string[] = []
    page.on('pageerror', error => errors.push(error.message))
    page.on('console', message => message.type() === 'error' && errors.push(message.text()))
    await page.goto(served.url + served.page.newLink())
    await page.getByText('Live').waitFor()
    await work(page)
    await page.close()
    assert.deepEqual(errors, [])
  }

  it('numbers and chart change while workers run; one that is killed is shown as silent', () =>
    inFolder(async folder => {
      await using queue = new TaskQueue(`fq://${folder}/queue`, { progress: false })
      await queue.insert([partial(linger, 'a'), partial(linger, 'b')])
      await queue.insert(Array.from({ length: 60 }, (_, n) => partial(quick, n)))
      await using served = await Served.start(queue)
      await withPage(served, async page => {
        await page.locator('dd.waiting', { hasText: /^62$/ }).waitFor()
        const workers = ['2', '2'].map(threads => startWorker(queue, '--parallel', threads, '--tally'))
        await page.locator('dd.done', { hasText: /^60$/ }).waitFor()
        await page.locator('dd.running', { hasText: /^2$/ }).waitFor()
        await page.locator('.uplot canvas').first().waitFor()
        await page.getByText('tiles.linger').first().waitFor({ timeout: 60_000 })
        await stopWorker(workers[0] ?? assert.fail())
        await page.locator('.worker.silent', { hasText: 'its process has ended' }).waitFor()
        await stopWorker(workers[1] ?? assert.fail())
      })
    }))

  it('a group of failures is retried with actions, and cannot be without; hostile text stays text', () =>
    inFolder(async folder => {
      await using queue = new TaskQueue(`fq://${folder}/queue`, { progress: false })
      await queue.insert([hostile, 'disk 1 is full', 'disk 2 is full'].map(reason => partial(fail, reason)))
      await queue.poll({ parallel: 0, untilEmpty: true, maxAttempts: 1 })
      {
        await using served = await Served.start(queue)
        await withPage(served, async page => {
          const group = page.locator('.group', { hasText: 'script' })
          await group.locator('summary').first().click()
          const payload = group.locator('pre[aria-label=Payload]')
          await payload.waitFor()
          assert.match((await payload.textContent()) ?? '', /<script>document\.title=.*\\u202etxt\.exe/)
          assert.equal(await page.locator('main script, main img').count(), 0)
          assert.equal(await page.title(), 'queue · ptq')
          assert.equal(await page.getByRole('button', { name: /^Retry/ }).count(), 0)
        })
      }
      await using served = await Served.start(queue, { actions: true })
      await withPage(served, async page => {
        await page.getByRole('button', { name: 'Retry 2 tasks: Error: disk … is full' }).click()
        await page.getByRole('dialog').getByRole('button', { name: 'Retry' }).click()
        await page.getByText('Put 2 tasks back into the queue.').waitFor()
        await page.locator('dd.failed', { hasText: /^1$/ }).waitFor()
        await page.locator('dd.waiting', { hasText: /^2$/ }).waitFor()
        // Nothing is deleted before the queue's name was typed.
        await page.getByRole('button', { name: 'Delete all tasks' }).click()
        const confirm = page.getByRole('dialog').getByRole('button', { name: 'Delete' })
        assert.ok(await confirm.isDisabled())
        await page.getByRole('dialog').getByRole('textbox').fill(queue.url)
        await confirm.click()
        await page.getByText('Deleted all tasks; dead letters stayed.').waitFor()
      })
      assert.equal(await queue.enqueued(), 0)
    }))
})
