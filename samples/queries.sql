-- Twelve questions a shop asks of samples/dump.sql. Product numbers are those of scale 1.

-- name: revenue_by_country
-- How much did each country's customers pay in 2025?
select country.name, sum(payment.amount) as revenue
from payment
join orders using (order_id)
join customer using (customer_id)
join country using (country_id)
where payment.paid_on between '2025-01-01' and '2025-12-31'
group by country.name
order by revenue desc, country.name;

-- name: late_shipments_by_country
-- Where do customers wait more than a week for the warehouse to send their order?
select country.name, count(*) as n_late
from shipment
join orders using (order_id)
join customer using (customer_id)
join country using (country_id)
where shipment.shipped_on > orders.placed_on + 7
group by country.name
order by n_late desc, country.name;

-- name: disputed_order_lines
-- What was in the few orders that customers dispute, and who are they?
select orders.order_id, customer.full_name, product.name, order_line.quantity
from orders
join customer using (customer_id)
join order_line using (order_id)
join product using (product_id)
where orders.status = 'disputed'
order by orders.order_id, order_line.line_no;

-- name: delivered_orders_by_carrier
-- How many delivered orders did each carrier bring, and how much were they worth?
select shipment.carrier, count(*) as n_orders, sum(payment.amount) as worth
from orders
join shipment using (order_id)
join payment using (order_id)
where orders.status = 'delivered'
group by shipment.carrier
order by n_orders desc, shipment.carrier;

-- name: largest_payments
-- Which customers ever paid more than 50 000 at once?
select customer.full_name, payment.amount, payment.paid_on
from payment
join orders using (order_id)
join customer using (customer_id)
where payment.amount > 50000
order by payment.amount desc, payment.payment_id;

-- name: coupon_users_by_country
-- Where do the customers live who used a coupon?
select country.name, count(distinct customer.customer_id) as n_customers
from orders
join customer using (customer_id)
join country using (country_id)
where orders.coupon is not null
group by country.name
order by n_customers desc, country.name;

-- name: returns_by_category
-- What kinds of goods came back?
select category.name, count(distinct shipment.order_id) as n_orders
from shipment
join order_line using (order_id)
join product using (product_id)
join category using (category_id)
where shipment.returned_on is not null
group by category.name
order by n_orders desc, category.name;

-- name: last_week_by_category
-- What sold in the week between the years?
select category.name, sum(order_line.quantity) as n_pieces
from orders
join order_line using (order_id)
join product using (product_id)
join category using (category_id)
where orders.placed_on >= '2025-12-25'
group by category.name
order by n_pieces desc, category.name;

-- name: bestseller_buyers_in_berlin
-- Who in Berlin (city 1), Germany (country 1), bought the best-selling product?
select customer.customer_id, customer.full_name, sum(order_line.quantity) as n_pieces
from customer
join orders using (customer_id)
join order_line using (order_id)
where customer.country_id = 1
  and customer.city_id = 1
  and order_line.product_id = 848
group by customer.customer_id
order by n_pieces desc, customer.customer_id;

-- name: bought_together
-- What else is in the orders that contain one fairly popular product?
select product.name, count(*) as n_orders
from order_line as bought
join order_line as other on other.order_id = bought.order_id and other.product_id <> bought.product_id
join product on product.product_id = other.product_id
where bought.product_id = 636
group by product.product_id, product.name
order by n_orders desc, product.product_id
limit 10;

-- name: monthly_sales_of_one_brand
-- What do the books (category 1) of Lesezeichen earn, month by month?
select date_trunc('month', orders.placed_on)::date as month, sum(order_line.quantity * product.price) as revenue
from product
join order_line using (product_id)
join orders using (order_id)
where product.category_id = 1
  and product.brand = 'Lesezeichen'
group by month
order by month;

-- name: regulars_without_review
-- Which customers ordered at least ten times and never wrote a review?
select customer.customer_id, customer.full_name, count(*) as n_orders
from customer
join orders using (customer_id)
where not exists (select from review where review.customer_id = customer.customer_id)
group by customer.customer_id
having count(*) >= 10
order by n_orders desc, customer.customer_id;
