//! Master data in an S/4-shaped service, mock-sap: products, which tell when they changed, and prices, which do not. Played by a plain client,
//! and read by one.

use serde_json::{Value, json};
use support::sap::{PRODUCTS_V4, Plain};

use super::chance::Chance;
use super::clock::{Clock, MINUTES};
use super::tables::{PRICES, PRODUCTS, Rows};

/// Root of the prices, V2: entities without a time of change.
pub const PRICES_V2: &str = "/sap/opu/odata/IWBEP/GWSAMPLE_BASIC";
/// Minutes between two changes of a product, and of a price.
const STEP: u32 = 18;
/// Products that are there when the day begins.
const FIRST: u32 = 12;

/// What happened, as the generator counts it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub products: usize,
    pub changed: usize,
    pub repriced: usize,
}

pub struct Sap {
    pub plain: Plain,
    chance: Chance,
    /// What this run's products begin with.
    pub prefix: String,
    pub figures: Figures,
}

impl Sap {
    pub async fn new(plain: Plain, seed: u64, prefix: &str) -> Self {
        let mut sap = Self { plain, chance: Chance::new(seed, "sap"), prefix: prefix.to_owned(), figures: Figures::default() };
        for _ in 0..FIRST {
            sap.add().await;
        }
        sap
    }

    fn product(&self, n: usize) -> String {
        format!("{}{n:03}", self.prefix)
    }

    /// One of the products that are there.
    fn any(&mut self) -> String {
        let known = u32::try_from(self.figures.products).unwrap();
        let n = self.chance.below(known);
        self.product(n as usize)
    }

    /// A new product, with its price.
    async fn add(&mut self) {
        let (name, weight) = (self.product(self.figures.products), self.chance.below(90_000));
        let weight: Value = serde_json::from_str(&format!("{}.{:03}", weight / 1000, weight % 1000)).unwrap();
        let product =
            json!({ "Product": name, "ProductType": "FERT", "ProductGroup": "G0", "BaseUnit": "PC", "GrossWeight": weight });
        self.plain.send("POST", &format!("{PRODUCTS_V4}/Product"), &product.to_string()).await;
        let price = json!({ "ProductID": name, "Name": format!("Tea {name}"), "CurrencyCode": "EUR", "Price": self.price() });
        self.plain.send("POST", &format!("{PRICES_V2}/ProductSet"), &price.to_string()).await;
        self.figures.products += 1;
    }

    fn price(&mut self) -> String {
        format!("{}.{:02}0", self.chance.below(300), self.chance.below(100))
    }

    /// Plays the day.
    pub async fn play(&mut self, clock: Clock) {
        for minute in (0..MINUTES).step_by(STEP as usize) {
            clock.until(minute).await;
            if self.chance.percent(30) {
                self.add().await;
            }
            let name = self.any();
            let change = match self.chance.below(3) {
                0 => json!({ "IsMarkedForDeletion": self.chance.percent(50) }),
                _ => json!({ "ProductGroup": format!("G{}", self.chance.below(1000)) }),
            };
            self.plain.send("PATCH", &format!("{PRODUCTS_V4}/Product('{name}')"), &change.to_string()).await;
            self.figures.changed += 1;
            let name = self.any();
            let price = json!({ "Price": self.price() });
            self.plain.send("PATCH", &format!("{PRICES_V2}/ProductSet('{name}')"), &price.to_string()).await;
            self.figures.repriced += 1;
        }
    }

    /// Products as the service holds them.
    pub async fn products(&self) -> Rows {
        let all = self.plain.get(&format!("{PRODUCTS_V4}/Product?$filter=startswith(Product,%27{}%27)", self.prefix)).await;
        PRODUCTS.of_json(all["value"].as_array().unwrap())
    }

    pub async fn prices(&self) -> Rows {
        let filter = format!("$filter=startswith(ProductID,%27{}%27)&$format=json", self.prefix);
        let all = self.plain.get(&format!("{PRICES_V2}/ProductSet?{filter}")).await;
        PRICES.of_json(all["d"]["results"].as_array().unwrap())
    }
}
