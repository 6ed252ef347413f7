// An adapter for oidc-provider that keeps each record in a file of its own, so that
// what was written survives the process, however that ends. It finds records by
// reading all of a kind, which is fast enough for the few that a test makes.

import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

// filesIn returns the adapter's class for a folder.
export function filesIn(folder) {
  // kind returns where the records of a model are, which need not exist.
  const kind = (model) => join(folder, model);
  const file = (model, id) => join(kind(model), `${encodeURIComponent(id)}.json`);

  async function read(path) {
    let text;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    }
    const { payload, expires } = JSON.parse(text);
    return expires && expires <= Date.now() ? undefined : payload;
  }

  async function names(path) {
    try {
      return await readdir(path);
    } catch (error) {
      if (error.code === 'ENOENT') return [];
      throw error;
    }
  }

  let written = 0;
  async function write(path, record) {
    const draft = `${path}.${process.pid}.${written++}`;
    await writeFile(draft, JSON.stringify(record));
    await rename(draft, path); // at once or not at all
  }

  return class Files {
    constructor(model) {
      this.model = model;
    }

    async upsert(id, payload, expiresIn) {
      await mkdir(kind(this.model), { recursive: true });
      await write(file(this.model, id), { payload, expires: expiresIn && Date.now() + expiresIn * 1000 });
    }

    async find(id) {
      return read(file(this.model, id));
    }

    async findBy(property, value) {
      for (const name of await names(kind(this.model))) {
        const payload = name.endsWith('.json') ? await read(join(kind(this.model), name)) : undefined;
        if (payload?.[property] === value) return payload;
      }
      return undefined;
    }

    async findByUid(uid) {
      return this.findBy('uid', uid);
    }

    async findByUserCode(userCode) {
      return this.findBy('userCode', userCode);
    }

    async consume(id) {
      const path = file(this.model, id);
      const record = JSON.parse(await readFile(path, 'utf8'));
      record.payload.consumed = Math.floor(Date.now() / 1000);
      await write(path, record);
    }

    async destroy(id) {
      await rm(file(this.model, id), { force: true });
    }

    // It is called for each model whose records belong to grants.
    async revokeByGrantId(grantId) {
      for (const name of await names(kind(this.model))) {
        const path = join(kind(this.model), name);
        if (name.endsWith('.json') && (await read(path))?.grantId === grantId) await rm(path, { force: true });
      }
    }
  };
}
