"""`lifecycle catalog`: products from a file, and what is told of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Shop

HEADER = "id,name,url,image,price,category"
MUG = "A1,Blue mug,https://shop.example/a1,https://shop.example/a1.png,12.50,Kitchen"
POT = "A2,Teapot,https://shop.example/a2,,48,Kitchen"


def write(shop: Shop, *lines: str, encoding: str = "utf-8") -> str:
    (shop.folder / "products.csv").write_text("\n".join([*lines, ""]), encoding=encoding)
    return "products.csv"


def test_products_come_from_a_file_and_twice_changes_nothing(shop: Shop) -> None:
    file = write(shop, HEADER, MUG, POT)
    assert shop.run("catalog", "import", file).stdout == "2 new, 0 changed, 0 as they were, 0 refused\n"
    assert shop.run("catalog", "import", file).stdout == "0 new, 0 changed, 2 as they were, 0 refused\n"
    mug, pot = shop.json("catalog", "list")
    assert (mug["id"], mug["name"], mug["price"], mug["image"]) == (
        "A1",
        "Blue mug",
        "12.50",
        "https://shop.example/a1.png",
    )
    assert (pot["price"], pot["image"], pot["in_stock"], pot["buyers"]) == ("48", None, True, 0)
    assert "Teapot" in shop.run("catalog", "list", "--category", "Kitchen").stdout
    assert shop.run("catalog", "list", "--category", "Garden").stdout == "no products\n"


def test_columns_stand_in_any_order_and_a_spreadsheet_may_have_saved_them(shop: Shop) -> None:
    file = write(
        shop, "PRICE,Name,stock,id,url", '9.90,"Café, au lait",0,C1,https://shop.example/c', encoding="utf-8-sig"
    )
    shop.run("catalog", "import", file)
    (coffee,) = shop.json("catalog", "list")
    assert (coffee["name"], coffee["price"], coffee["in_stock"]) == ("Café, au lait", "9.90", False)


ROWS = [
    (",x,https://s.example,,1,", "id is empty; give one"),
    ("B,,https://s.example,,1,", "name is empty; give one"),
    ("B,x,http://s.example,,1,", "url 'http://s.example' is no https address; write https://shop.example/…"),
    ("B,x,https://,,1,", "url 'https://' is no https address"),
    ("B,x,https://[s,,1,", "url 'https://[s' is no https address"),
    ("B,x,https://s.example/a b,,1,", "is no https address"),
    ("B,x,https://s.example,javascript:x,1,", "image 'javascript:x' is no https address"),
    ('B,x,https://s.example,,"1,50",', "price '1,50' is no amount; write it like 12.99"),
    ("B,x,https://s.example,,NaN,", "price 'NaN' is no amount"),
    ("B,x,https://s.example,,-1,", "price '-1' is no amount"),
    ("B,x,https://s.example,,1e3,", "price '1e3' is no amount"),
    ("B,x,https://s.example,,,", "price '' is no amount"),
    ("B,x,https://s.example", "3 cells where the header names 6; quote cells that hold a comma"),
    ("A1,x,https://s.example,,1,", "id 'A1' is in row 2 already; drop one of the two"),
    (f"{'B' * 201},x,https://s.example,,1,", "id has 201 characters; shorten it to 200"),
]


@pytest.mark.parametrize(("row", "message"), ROWS)
def test_a_row_that_is_wrong_is_told_with_its_number_and_the_others_are_taken(
    shop: Shop, row: str, message: str
) -> None:
    result = shop.run("catalog", "import", write(shop, HEADER, MUG, row, POT), exit_code=1)
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: products.csv:3: ")
    assert message in line
    assert result.stdout == "2 new, 0 changed, 0 as they were, 1 refused\n"
    assert [product["id"] for product in shop.json("catalog", "list")] == ["A1", "A2"]


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("in_stock", "perhaps", "in_stock 'perhaps' is neither true nor false"),
        ("stock", "many", "stock 'many' is no whole number; write how many there are"),
        ("stock", "٣", "stock '٣' is no whole number; write how many there are"),
        ("currency", "$", "currency '$' is no code; write it like USD"),
        ("currency", "XYZ", "currency 'XYZ' is no code; write it like USD"),
    ],
)
def test_columns_that_need_not_be_there_are_read_as_strictly(shop: Shop, column: str, cell: str, message: str) -> None:
    file = write(shop, f"id,name,url,price,{column}", f"A,x,https://s.example,1,{cell}")
    assert message in shop.run("catalog", "import", file, exit_code=1).stderr


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([""], "there is no column 'id'; the first line must name the columns: id,name,url,image,price,category"),
        (["id;name;url;price", "a;b;c;1"], "its columns are separated by semicolons; save it with commas"),
        (['"id";"name";"url";"price"', "a;b;c;1"], "its columns are separated by semicolons; save it with commas"),
        (["id\tname\turl\tprice"], "its columns are separated by tabs; save it with commas"),
        (["i\0d\0,\0n\0a\0m\0e\0"], "this is no text in UTF-8; save it as CSV, in UTF-8"),
        (["id,nmae,url,price"], "there is no column 'name'; rename 'nmae'"),
        (["id,name,url,price,price"], "there are 2 columns 'price'; drop all but one"),
    ],
)
def test_a_file_that_is_no_catalogue_takes_nothing(shop: Shop, lines: list[str], message: str) -> None:
    assert message in shop.run("catalog", "import", write(shop, *lines), exit_code=1).stderr
    assert shop.json("catalog", "list") == []


def test_bytes_that_are_no_text_cost_their_row_only(shop: Shop) -> None:
    Path("products.csv").write_bytes(f"{HEADER}\nL1,Caf\xe9,https://s.example,,1,\n{POT}\n".encode("latin-1"))
    result = shop.run("catalog", "import", "products.csv", exit_code=1)
    assert "products.csv:2: name is no UTF-8 text; save the file as UTF-8" in result.stderr
    assert [product["id"] for product in shop.json("catalog", "list")] == ["A2"]


def test_what_a_whole_catalogue_does_not_name_is_out_of_stock(shop: Shop) -> None:
    shop.run("catalog", "import", write(shop, HEADER, MUG, POT))
    shop.run("catalog", "import", write(shop, HEADER, POT))
    assert [product["in_stock"] for product in shop.json("catalog", "list")] == [True, True]
    done = shop.run("catalog", "import", "--replace", write(shop, HEADER, POT))
    assert done.stdout == "0 new, 0 changed, 1 as they were, 0 refused; 1 out of stock\n"
    assert [product["in_stock"] for product in shop.json("catalog", "list")] == [False, True]


def test_a_whole_catalogue_with_a_bad_row_puts_nothing_out_of_stock(shop: Shop) -> None:
    shop.run("catalog", "import", write(shop, HEADER, MUG, POT))
    result = shop.run(
        "catalog", "import", "--replace", write(shop, HEADER, POT.replace("48", "49"), "A1,,,,,"), exit_code=1
    )
    assert "nothing was taken" in result.stderr
    assert [product["price"] for product in shop.json("catalog", "list")] == ["12.50", "48"]


def test_a_whole_catalogue_without_a_product_is_taken_for_a_mistake(shop: Shop) -> None:
    shop.run("catalog", "import", write(shop, HEADER, MUG))
    assert "it names no product" in shop.run("catalog", "import", "--replace", write(shop, HEADER), exit_code=1).stderr
    assert [product["in_stock"] for product in shop.json("catalog", "list")] == [True]


def test_columns_that_mean_nothing_are_named(shop: Shop) -> None:
    result = shop.run("catalog", "import", write(shop, f"{HEADER},colour", f"{MUG},blue"))
    assert "columns that mean nothing here: colour" in result.stderr


@pytest.fixture
def selling(shop: Shop) -> Shop:
    """A shop whose policy says what an order is, with three customers who bought something."""
    words, policy = shop.folder / "journeys" / "vocabulary.py", shop.folder / "journeys" / "policy.py"
    words.write_text(words.read_text() + "    products = Property[list[object]]()\n")
    text = (
        policy.read_text()
        .replace("import Policy,", "import Policy, Purchases,")
        .replace('consent="opt_out"', 'consent="opt_out", purchases=Purchases(OrderCompleted)')
    )
    policy.write_text("from .vocabulary import OrderCompleted\n" + text)
    shop.run("catalog", "import", write(shop, HEADER, MUG, POT))
    events = []
    for customer, products in (("ann", ["A1", "A2"]), ("bob", ["A1", "A2"]), ("cyd", ["A1"])):
        bought = ", ".join(f'{{"product_id": "{product}"}}' for product in products)
        events.append(
            f'{{"type": "track", "messageId": "{customer}", "userId": "{customer}", "event": "order.completed", '
            f'"timestamp": "2026-11-01T09:00:00Z", "properties": {{"order_id": "{customer}", "products": [{bought}]}}}}'
        )
    (shop.folder / "events.jsonl").write_text("\n".join(events))
    url = f"sqlite:///{shop.folder}/other.db"
    options = ("--until", "2026-11-01T10:00", "--catalog", "products.csv", "--database", url)
    shop.run("replay", "events.jsonl", *options)
    shop.environment["DATABASE_URL"] = url
    return shop


def test_one_can_see_what_goes_with_what_and_what_is_recommended_and_why(selling: Shop) -> None:
    assert "orders of 3 customers taken in" in selling.run("catalog", "recommend").stdout
    product, related = selling.json("catalog", "show", "A1")
    assert (product["record"], product["buyers"], product["price"]) == ("product", 3, "12.50")
    assert (related["id"], related["together"], related["score"]) == ("A2", 2, 0.816497)
    assert "0.816497" in selling.run("catalog", "show", "A1").stdout
    (pot,) = selling.json("catalog", "recommend", "--customer", "cyd")
    assert (pot["id"], pot["because"]) == ("A2", [{"id": "A1", "name": "Blue mug", "together": 2}])
    assert "they have Blue mug (2 bought both)" in selling.run("catalog", "recommend", "--customer", "cyd").stdout
    assert "nothing: " in selling.run("catalog", "recommend", "--customer", "ann").stdout


def test_what_is_not_there_is_said(selling: Shop) -> None:
    assert "there is no product 'X'" in selling.run("catalog", "show", "X", exit_code=1).stderr
    assert "there is no customer 'X'" in selling.run("catalog", "recommend", "--customer", "X", exit_code=1).stderr


def test_a_policy_that_does_not_say_what_an_order_is_is_told_how(shop: Shop) -> None:
    assert "write purchases=Purchases(" in shop.run("catalog", "recommend", exit_code=1).stderr
