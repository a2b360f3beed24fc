/**
 * What a front end asks its database, the same for both. How they ask is where they differ.
 */

/**
 * @typedef {import('./shop.js').Order} Order
 * @typedef {import('./shop.js').Product} Product
 * @typedef {import('pg').ClientBase} Client
 */

/** How many there are of each product when the shop opens. */
const unitsAtFirst = 100_000

/**
 * @param {string} schema - Whose tables.
 */
export function createStatements(schema) {
  const products = `"${schema}".products`
  const orders = `"${schema}".orders`

  return {
    tables: {
      name: 'tables',
      text: `
        do $$ begin
          -- Several containers may begin at the same time.
          perform pg_advisory_xact_lock(hashtext('${schema}'));
          create schema if not exists "${schema}";
          create table if not exists ${products} (
            id integer primary key, name text not null, price integer not null, units integer not null);
          create table if not exists ${orders} (
            id text primary key, product integer not null, amount integer not null, receipt text);
        end $$`,
    },

    /** @param {readonly Product[]} list */
    keepProducts: (list) => ({
      name: 'keep products',
      text: `
        insert into ${products} (id, name, price, units)
        select id, name, price, ${unitsAtFirst}
        from unnest($1::integer[], $2::text[], $3::integer[]) as given (id, name, price)
        on conflict (id) do update set name = excluded.name, price = excluded.price`,
      values: [
        list.map(({ id }) => id),
        list.map(({ name }) => name),
        list.map(({ price }) => price),
      ],
    }),

    /**
     * Answers `{ id, units }`, in any order.
     *
     * @param {readonly number[]} ids
     */
    unitsOf: (ids) => ({
      name: 'units',
      text: `select id, units from ${products} where id = any($1::integer[])`,
      values: [ids],
    }),

    /**
     * A transaction, for which a client must be alone. The same order is kept and sold once, however
     * often it is sent; a receipt that came is not forgotten.
     *
     * @param {Client} client
     * @param {Order} order
     * @param {string | null} receipt
     */
    async keepOrder(client, { id, product, amount }, receipt) {
      await client.query('begin')
      const { rows } = await client.query({
        name: 'keep order',
        text: `
          insert into ${orders} as kept values ($1, $2, $3, $4)
          on conflict (id) do update set receipt = coalesce(kept.receipt, excluded.receipt)
          returning xmax = 0 as is_new`,
        values: [id, product, amount, receipt],
      })
      if (rows[0]?.is_new) {
        await client.query({
          name: 'sell',
          text: `update ${products} set units = units - 1 where id = $1`,
          values: [product],
        })
      }
      await client.query('commit')
    },

    /** Answers `{ id, name, price }` of every product. */
    allProducts: {
      name: 'products',
      text: `select id, name, price from ${products} order by id`,
    },

    /** Answers `{ id, receipt }` of every order. */
    allOrders: { name: 'orders', text: `select id, receipt from ${orders}` },
  }
}

/** @typedef {ReturnType<typeof createStatements>} Statements */
